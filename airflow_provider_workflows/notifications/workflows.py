"""Send an alert to a chat channel: which runs have failed or are late."""

from __future__ import annotations

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, BaseNotifier

from airflow_provider_workflows.airflow_internals.exceptions import AirflowException, AirflowNotFoundException
from airflow_provider_workflows.airflow_internals.secrets_masker import mask, quiet_about_short_secrets
from airflow_provider_workflows.airflow_internals.text_rendering import RendersText
from airflow_provider_workflows.api.errors import ConnectionNotFound, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from airflow.sdk import Context


class WorkflowsNotifier(RendersText, BaseNotifier):
    """Post ``failure_message`` as ``{"text": ...}`` to an incoming webhook (Slack, Mattermost, Google Chat).

    For the ``on_failure_callback`` (or ``on_retry_callback``) of a task or a DAG, and for a deadline alert, in the
    triggerer (``AsyncCallback``) or on a worker (``SyncCallback``)::

        DAG(
            "identity_check",
            default_args={"on_failure_callback": WorkflowsNotifier()},
            deadline=DeadlineAlert(
                reference=DeadlineReference.DAGRUN_QUEUED_AT,
                interval=timedelta(hours=2),
                callback=AsyncCallback(WorkflowsNotifier),
            ),
        )

    A message that is not accepted is tried again for 15 seconds at most, then logged as an error. In the triggerer
    it fails the callback, which Airflow counts; the task or DAG run that it tells of stays as it is. On a worker
    Airflow 3.3 gives a deadline's callback neither connections of its database (they must come from environment
    variables or a secrets backend there) nor the tasks of the run, so that the message is shorter.

    :param alert_conn_id: id of a connection of any type whose password is the URL of the incoming webhook, or what
        comes after the URL in its host (templated)
    :param context: the context of a deadline alert, which Airflow gives
    """

    template_fields: Sequence[str] = ("alert_conn_id",)

    def __init__(self, alert_conn_id: str = "workflows_alerts", *, context: Context | None = None) -> None:
        super().__init__(context)
        self.alert_conn_id = alert_conn_id

    # Airflow renders the notifier in place, and tasks share one: what the first alert has rendered would be a
    # template to the second, and would name the first one's connection.
    def __call__(self, *args: Any) -> None:
        """Render the templates and post the message, for the context of one callback."""
        super(WorkflowsNotifier, copy.copy(self)).__call__(*args)

    def __await__(self) -> Generator[Any, Any, Any]:
        """Render the templates and post the message, without blocking the event loop."""
        return super(WorkflowsNotifier, copy.copy(self)).__await__()

    def notify(self, context: Context) -> None:
        """Post the message; when that fails, an error is logged and nothing raised."""
        try:
            url, text = self._prepare(context)
            from airflow_provider_workflows.notifications.delivery import deliver  # noqa: PLC0415  (not while parsing)

            # In a notebook this thread has an event loop already.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, deliver(url, text)).result()
        except Exception as error:  # noqa: BLE001
            # Airflow would log what is raised with the context, and the run's conf with it, which may be personal.
            self.log.error("%s", self._not_sent(error))  # noqa: TRY400
        else:
            self.log.info("The alert was sent through connection %s.", self.alert_conn_id)

    async def async_notify(self, context: Context) -> None:
        """Post the message without blocking the event loop.

        :raises AirflowException: when it was not accepted, saying why without the URL
        """
        try:
            url, text = await asyncio.to_thread(self._prepare, context)
            # Loaded by now, in that thread.
            from airflow_provider_workflows.notifications.delivery import deliver  # noqa: PLC0415  (not while parsing)

            await deliver(url, text)
        except Exception as error:  # noqa: BLE001  (its words could hold the URL, and Airflow stores them)
            raise AirflowException(self._not_sent(error)) from None
        self.log.info("The alert was sent through connection %s.", self.alert_conn_id)

    def _prepare(self, context: Mapping[str, Any]) -> tuple[str, str]:
        from airflow_provider_workflows.notifications.delivery import url_of  # noqa: PLC0415  (not while parsing)
        from airflow_provider_workflows.notifications.message import failure_message  # noqa: PLC0415  (not while parsing)

        try:
            with quiet_about_short_secrets():
                connection = BaseHook.get_connection(self.alert_conn_id)
        except AirflowNotFoundException:
            raise ConnectionNotFound(
                f"there is no connection {self.alert_conn_id!r}: add one whose password is the URL of the incoming "
                "webhook, or name another one with alert_conn_id"
            ) from None
        url = url_of(connection)
        mask(url)
        return url, failure_message(context)

    def _not_sent(self, error: Exception) -> str:
        from airflow_provider_workflows.notifications.delivery import NotDelivered  # noqa: PLC0415  (not while parsing)

        said = isinstance(error, (NotDelivered, InvalidInput))
        reason = str(error) if said else type(error).__name__
        return f"The alert was not sent through connection {self.alert_conn_id}: {reason}"
