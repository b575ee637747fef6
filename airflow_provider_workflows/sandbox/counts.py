"""What the sandbox has seen, for tests and benchmarks to assert on."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import weakref
from asyncio import BaseTransport
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_workflows.sandbox.responses import JsonObject

MAX_SEEN_REQUESTS = 10_000
UNKNOWN_ROUTE = "(unknown)"
NO_RESPONSE = "(none)"


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request that the sandbox has responded to.

    :param method: the HTTP method
    :param path: the path as it arrived
    :param status: the status of the response, or None if the connection was cut instead
    :param headers: the request's headers, names in lower case; of ``authorization`` only the scheme
        (``Bearer``, or ``tot_`` for an organization token)
    """

    method: str
    path: str
    status: int | None
    headers: Mapping[str, str]


class Counts:
    """Counters of requests, connections, cases, runs and deliveries; may be read from any thread.

    Routes are named ``METHOD /path/{template}``; a request that matches none of them counts as ``(unknown)``.
    Requests to control endpoints and for the OpenAPI document are not counted.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._connection_numbers: weakref.WeakKeyDictionary[BaseTransport, int] = weakref.WeakKeyDictionary()
        self.reset()

    def reset(self) -> None:
        """Set all counters to zero. An open connection counts again at its next request."""
        with self._lock:
            self._requests: Counter[str] = Counter()
            self._connections: dict[str, set[int]] = {}
            self._runs_per_case: Counter[str] = Counter()
            self._runs_per_record: Counter[str] = Counter()
            self._runs_per_subject: Counter[str] = Counter()
            self._parameters_of_runs: list[JsonObject] = []
            self._cases = 0
            self._records = 0
            self._attachments = 0
            self._resources = 0
            self._deliveries: Counter[str] = Counter()
            self._delivery_responses: dict[str, Counter[str]] = {}
            self._seen: deque[SeenRequest] = deque(maxlen=MAX_SEEN_REQUESTS)

    @property
    def requests(self) -> Counter[str]:
        """Number of requests of each route, each counted when it arrives."""
        with self._lock:
            return Counter(self._requests)

    @property
    def connections(self) -> Counter[str]:
        """Number of connections that carried at least one request of each route."""
        with self._lock:
            return Counter({route: len(numbers) for route, numbers in self._connections.items()})

    @property
    def total_requests(self) -> int:
        """Number of requests."""
        with self._lock:
            return sum(self._requests.values())

    @property
    def total_connections(self) -> int:
        """Number of connections that carried at least one request."""
        with self._lock:
            return len(set().union(*self._connections.values()))

    @property
    def runs_per_case(self) -> Counter[str]:
        """Number of runs that were created, by the id of their case."""
        with self._lock:
            return Counter(self._runs_per_case)

    @property
    def runs_per_record(self) -> Counter[str]:
        """Number of runs that were created, by the id of their record."""
        with self._lock:
            return Counter(self._runs_per_record)

    @property
    def runs_per_subject(self) -> Counter[str]:
        """Number of runs that were created, by what they are about, whatever their generation.

        That is the id of their case, else that of their record, else a digest of their parameters.
        """
        with self._lock:
            return Counter(self._runs_per_subject)

    @property
    def runs(self) -> int:
        """Number of runs that were created."""
        with self._lock:
            return len(self._parameters_of_runs)

    def runs_per_parameter(self, name: str) -> Counter[str]:
        """Return the number of runs that were created, by the value of one of their parameters.

        :param name: the parameter's name; a run without it is left out
        :returns: text as it is, other values as JSON
        """
        with self._lock:
            values = [parameters[name] for parameters in self._parameters_of_runs if name in parameters]
        return Counter(value if isinstance(value, str) else json.dumps(value) for value in values)

    @property
    def cases(self) -> int:
        """Number of cases that were created."""
        with self._lock:
            return self._cases

    @property
    def records(self) -> int:
        """Number of records that were created."""
        with self._lock:
            return self._records

    @property
    def attachments(self) -> int:
        """Number of files that were attached to records."""
        with self._lock:
            return self._attachments

    @property
    def resources(self) -> int:
        """Number of files that were uploaded as resources."""
        with self._lock:
            return self._resources

    @property
    def deliveries(self) -> Counter[str]:
        """Number of deliveries of webhooks, repetitions included, by the id of the workflow."""
        with self._lock:
            return Counter(self._deliveries)

    @property
    def delivery_responses(self) -> dict[str, Counter[str]]:
        """Number of deliveries by the status of their response, by the id of the workflow.

        Such as ``{workflow_id: {"200": 1, "(none)": 2}}``, where two deliveries had no response.
        """
        with self._lock:
            return {
                workflow_id: Counter(responses) for workflow_id, responses in self._delivery_responses.items()
            }

    @property
    def seen(self) -> list[SeenRequest]:
        """The last requests that were responded to, 10,000 at most, oldest first."""
        with self._lock:
            return list(self._seen)

    def json_object(self) -> JsonObject:
        """Return all counters as a JSON object."""
        return {
            "requests": self.requests,
            "connections": self.connections,
            "total_requests": self.total_requests,
            "total_connections": self.total_connections,
            "runs": self.runs,
            "runs_per_case": self.runs_per_case,
            "runs_per_record": self.runs_per_record,
            "runs_per_subject": self.runs_per_subject,
            "cases": self.cases,
            "records": self.records,
            "attachments": self.attachments,
            "resources": self.resources,
            "deliveries": self.deliveries,
            "delivery_responses": self.delivery_responses,
        }

    def request_arrived(self, route: str, connection: BaseTransport | None) -> None:
        """Count a request and the connection that it arrived on."""
        with self._lock:
            self._requests[route] += 1
            # None is a connection that broke before its request was read.
            if connection is not None:
                number = self._connection_numbers.get(connection)
                if number is None:
                    number = self._connection_numbers[connection] = next(self._numbers)
                self._connections.setdefault(route, set()).add(number)

    def response_sent(self, method: str, path: str, status: int | None, headers: Mapping[str, str]) -> None:
        """Keep a request with the status of its response; of its token, keep only the scheme.

        :param status: None if the connection was cut instead
        """
        kept = {name.lower(): value for name, value in headers.items()}
        if "authorization" in kept:
            kept["authorization"] = _scheme(kept["authorization"])
        with self._lock:
            self._seen.append(SeenRequest(method, path, status, kept))

    def case_created(self) -> None:
        """Count a case."""
        with self._lock:
            self._cases += 1

    def record_created(self) -> None:
        """Count a record."""
        with self._lock:
            self._records += 1

    def attachment_created(self) -> None:
        """Count a file that was attached to a record."""
        with self._lock:
            self._attachments += 1

    def resource_created(self) -> None:
        """Count a file that was uploaded as a resource."""
        with self._lock:
            self._resources += 1

    def run_created(self, case_id: str | None, record_id: str | None, parameters: JsonObject) -> None:
        """Count a run.

        :param case_id: its case's id, if it has one
        :param record_id: its record's id, if it has one
        :param parameters: the values of its parameters
        """
        subject = case_id or record_id or digest(parameters)
        with self._lock:
            self._runs_per_subject[subject] += 1
            self._parameters_of_runs.append(parameters)
            if case_id is not None:
                self._runs_per_case[case_id] += 1
            if record_id is not None:
                self._runs_per_record[record_id] += 1

    def delivery_began(self, workflow_id: str) -> None:
        """Count a delivery of a workflow's webhook."""
        with self._lock:
            self._deliveries[workflow_id] += 1

    def delivery_ended(self, workflow_id: str, status: int | None) -> None:
        """Count the response to a delivery.

        :param status: the status, or None if there was no response
        """
        with self._lock:
            responses = self._delivery_responses.setdefault(workflow_id, Counter())
            responses[NO_RESPONSE if status is None else str(status)] += 1


def digest(parameters: JsonObject) -> str:
    """Return what ``runs_per_subject`` names a run with these parameters by, if it has neither case nor record."""
    text = json.dumps(parameters, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _scheme(authorization: str) -> str:
    scheme, separator, _ = authorization.partition(" ")
    if separator:
        return scheme
    return "tot_" if authorization.startswith("tot_") else "(none)"
