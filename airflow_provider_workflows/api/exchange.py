"""The one flow of authorization, refresh, retries and error mapping, without any input or output.

``Exchange.perform`` is a generator: it yields what to do (send a request, sleep, run another flow exclusively) and
receives what came of it, so that the synchronous and the asynchronous client are two short loops around the same
decisions. Whether and when a call is repeated is decided in ``retry``.
"""

from __future__ import annotations

import copy
import json
import logging
import random
import time
from collections.abc import Callable
from functools import partial

from airflow_provider_workflows import __version__
from airflow_provider_workflows.api import endpoints, errors, retry
from airflow_provider_workflows.api.attempts import Attempts
from airflow_provider_workflows.api.effects import (
    Compute,
    Exclusive,
    Flow,
    NoResponse,
    Response,
    SendRequest,
    Sleep,
)
from airflow_provider_workflows.api.endpoints import Endpoint, ResponseModel
from airflow_provider_workflows.api.file_limits import SLOWEST_BYTES_PER_SECOND
from airflow_provider_workflows.api.generations import GENERATIONS, in_words
from airflow_provider_workflows.api.http_rules import ACCEPT_ENCODING
from airflow_provider_workflows.api.models import Tokens, WorkflowResult
from airflow_provider_workflows.api.response_json import MAX_BYTES_READ_AT_ONCE
from airflow_provider_workflows.api.responses import read
from airflow_provider_workflows.api.settings import Settings
from airflow_provider_workflows.api.status import Outcome
from airflow_provider_workflows.api.token_store import TokenStore, say_deprecated
from airflow_provider_workflows.api.uploads import FormBody
from airflow_provider_workflows.log_throttle import ThrottledWarning

log = logging.getLogger(__name__)

#: Odd values are logged this often at most, however many responses hold some.
WARNING_INTERVAL_SECONDS = 60.0

_SAME = {"Accept-Encoding": ACCEPT_ENCODING, "User-Agent": f"airflow-provider-workflows/{__version__}"}
_CONTENT_TYPE = {"Content-Type": "application/json"}
_JSON = "application/json"
# Made once: ``json.dumps`` with an option makes an encoder for each call.
_BODIES = json.JSONEncoder(allow_nan=False)


class Exchange:
    """The decisions of a client: which tokens a call carries, whether it is repeated, and when it is given up.

    :param settings: host, credentials and bounds
    :param tokens: tokens to share with other exchanges of the same key
    :param backoff: how the pauses between attempts grow; ``retry.BACKOFF`` if None
    :param clock: monotonic seconds
    :param now: seconds since the epoch
    :param draw: a random number from 0 to 1
    """

    def __init__(
        self,
        settings: Settings,
        *,
        tokens: TokenStore | None = None,
        backoff: retry.Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._backoff = retry.BACKOFF if backoff is None else backoff
        self._clock = clock
        self._now = now
        self._draw = draw
        self._tokens = TokenStore() if tokens is None else tokens
        self._warn_of_odd_values = ThrottledWarning(
            log,
            "%s since the last such line held values that JSON or Python cannot express. They are kept "
            "as text, as the service wrote them. The latest: %s.",
            ("response", "responses"),
            interval=WARNING_INTERVAL_SECONDS,
            clock=clock,
        )
        if settings.organization_token is not None and not self._tokens.rejections:
            self._tokens.take(settings.organization_token)

    def perform(self, endpoint: Endpoint[ResponseModel]) -> Flow[ResponseModel]:
        """Return the flow of one endpoint, whose result is the response.

        :raises WorkflowsError: the one that fits
        """
        self._require_generation(endpoint)
        if not endpoint.authenticated:
            return (yield from self._tried(endpoint, self._settings.max_attempts))
        replayed = False
        while True:
            if self._tokens.needs_renewal(self._clock()):
                yield Exclusive(self._renewed(self._tokens.generation, rejected=False))
            generation = self._tokens.generation
            try:
                response = yield from self._tried(endpoint, self._settings.max_attempts)
            except errors.AuthenticationFailed as error:
                rejection = error
            else:
                if self._tokens.rejections:
                    self._tokens.accept()
                return response
            if replayed or self._settings.organization_token is not None:
                self._rejected(generation, rejection)
                raise rejection
            replayed = True
            yield Exclusive(self._renewed(generation, rejected=True, rejection=rejection))

    def authorize(self) -> Flow[None]:
        """Return the flow that obtains a token now; with an organization token it does nothing."""
        if self._settings.organization_token is None:
            yield Exclusive(self._renewed(self._tokens.generation, rejected=True))

    def seconds_until_authorize(self) -> float:
        """Return the seconds until a rejected key may be sent again; 0 if none was rejected, or it may be now."""
        return max(0.0, self._tokens.next_authorize_at - self._clock()) if self._tokens.rejections else 0.0

    def result(
        self, workflow_id: str, case_id: str | None = None, record_id: str | None = None
    ) -> Flow[WorkflowResult]:
        """Return the flow that fetches the result of a completed workflow.

        The status is requested only if there is no result, to say why.

        :param workflow_id: id of the workflow
        :param case_id: the case that it must be of; None if that is not known
        :param record_id: the record that it must be about; None if that is not known
        :raises WorkflowNotCompleted: ``WorkflowFailed`` where the status is a failure status
        :raises WorkflowsError: as ``perform`` does
        """
        try:
            return (yield from self.perform(endpoints.read_result(workflow_id, case_id, record_id)))
        except errors.NotFound as error:
            no_result = error
        status = (yield from self.perform(endpoints.read_workflow(workflow_id, case_id, record_id))).status
        outcome = self._settings.statuses.outcome(status)
        if outcome is Outcome.SUCCESS:
            raise no_result
        if outcome is Outcome.FAILURE:
            raise errors.WorkflowFailed(
                f"Workflow {workflow_id} ended in the status {status} and has no result.",
                workflow_status=status,
            )
        raise errors.WorkflowNotCompleted(
            f"Workflow {workflow_id} has not completed, its status is {status}: "
            "wait for it (WorkflowStatusSensor) before fetching its result.",
            workflow_status=status,
        )

    def _tried(self, endpoint: Endpoint[ResponseModel], max_attempts: int) -> Flow[ResponseModel]:
        """Send the call until there is a response, it may not be repeated, or the bounds are reached."""
        attempts = self.attempts(max_attempts)
        while True:
            reply: Response | NoResponse = yield self._request(endpoint, attempts.deadline)
            try:
                if isinstance(reply, Response) and len(reply.body) > MAX_BYTES_READ_AT_ONCE:
                    body: ResponseModel = self._require(
                        (yield Compute(partial(self._body_or_error, endpoint, reply)))
                    )
                    return body
                return read(endpoint, reply, now=self._now(), warn=self._warn_of_odd_values)
            except errors.WorkflowsError as error:
                pause = attempts.pause(error)
            yield Sleep(pause)

    def attempts(self, max_attempts: int | None = None) -> Attempts:
        """Return the attempts of a call that is about to be made.

        :param max_attempts: how many there are at most; what the settings say if it is left out
        """
        settings = self._settings
        return Attempts(
            max_attempts or settings.max_attempts,
            settings.retry_seconds,
            self._backoff,
            self._clock,
            self._draw,
        )

    def _body_or_error(
        self, endpoint: Endpoint[ResponseModel], response: Response
    ) -> ResponseModel | errors.WorkflowsError:
        try:
            return read(endpoint, response, now=self._now(), warn=self._warn_of_odd_values)
        except errors.WorkflowsError as error:
            return error

    @staticmethod
    def _require(body_or_error: ResponseModel | errors.WorkflowsError) -> ResponseModel:
        if isinstance(body_or_error, errors.WorkflowsError):
            raise body_or_error
        return body_or_error

    def _request(self, endpoint: Endpoint[ResponseModel], deadline: float) -> SendRequest:
        headers = {"Accept": self._accept(endpoint), **_SAME}
        if endpoint.body is not None:
            headers |= _CONTENT_TYPE
        if endpoint.authenticated and self._tokens.authorization is not None:
            headers["Authorization"] = self._tokens.authorization
        body: bytes | FormBody | None = None
        timeout = min(deadline - self._clock(), self._settings.retry_seconds)
        timeout = max(timeout, self._settings.read_timeout)
        if endpoint.body is not None:
            body = _BODIES.encode(endpoint.body).encode()
        elif endpoint.upload is not None:
            body = FormBody(endpoint.upload)
            headers |= {"Content-Type": body.content_type, "Content-Length": str(body.length)}
            timeout += body.length / SLOWEST_BYTES_PER_SECOND
        return SendRequest(endpoint.method, endpoint.path, headers, body, timeout, endpoint.repeatable)

    def _accept(self, endpoint: Endpoint[ResponseModel]) -> str:
        if endpoint.text:
            return "text/plain"
        return GENERATIONS[self._settings.api_generation].accept if endpoint.versioned else _JSON

    def _require_generation(self, endpoint: Endpoint[ResponseModel]) -> None:
        """Return if the generation that the settings name has the endpoint."""
        generation = self._settings.api_generation
        if generation not in endpoint.generations:
            raise errors.InvalidInput(
                f"{endpoint.method} {endpoint.path} needs api_generation {in_words(endpoint.generations)}; the "
                f"connection has {generation}, so nothing was sent. Generation 1 has cases, 2 has both cases "
                "and records, and 3 has records, and takes parameters with the run"
            )

    def _rejected(self, generation: int, rejection: errors.AuthenticationFailed) -> None:
        """Take note of a call that was rejected with a token of ``generation``, though that was new."""
        if generation == self._tokens.generation:
            self._tokens.reject(rejection, self._clock(), self._backoff)

    def _renewed(
        self, asked_in: int, *, rejected: bool, rejection: errors.AuthenticationFailed | None = None
    ) -> Flow[None]:
        """Obtain new tokens, to be run exclusively.

        :param asked_in: the generation in which the renewal was asked for; in a later one there is nothing to do
        :param rejected: whether the service refused the present token; if not, it is still used where the
            renewal fails
        :param rejection: the error of the call that it was refused for
        """
        tokens = self._tokens
        if asked_in != tokens.generation:
            if tokens.failure is not None and tokens.authorization is None:
                raise copy.copy(tokens.failure)
            return
        if (failure := rejection or tokens.failure) is not None and self._clock() < tokens.next_authorize_at:
            raise copy.copy(failure)
        if tokens.rejections:
            # This authorize call is the only one of its step, whatever becomes of it.
            tokens.next_authorize_at = self._clock() + self._backoff.seconds(tokens.rejections + 1)
        if (token := self._settings.organization_token) is not None:
            tokens.take(token)
            return
        still_valid = not rejected and tokens.is_valid(self._clock())
        try:
            brought = yield from self._new_tokens(
                max_attempts=1 if still_valid else self._settings.max_attempts
            )
        except errors.WorkflowsError as error:
            if still_valid and error.is_retryable():
                # An early renewal can wait: it is put off, and the token used while it lasts.
                tokens.postpone(self._clock())
                return
            if isinstance(error, errors.AuthenticationFailed):
                tokens.reject(error, self._clock(), self._backoff)
            else:
                tokens.lose(error)
            raise
        tokens.keep(brought, self._clock())

    def _new_tokens(self, max_attempts: int) -> Flow[Tokens]:
        if (refresh_token := self._tokens.refresh_token) is not None:
            try:
                return (yield from self._tried(endpoints.refresh(refresh_token), max_attempts))
            except errors.ServiceUnreachable:
                raise
            except errors.WorkflowsError as error:
                log.info(
                    "The token could not be refreshed (%s), so a new one is requested with the API key.",
                    error.summary,
                )
        say_deprecated()
        return (
            yield from self._tried(
                endpoints.authorize(self._settings.key, self._settings.secret), max_attempts
            )
        )
