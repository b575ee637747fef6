"""No value of a row shows anywhere but in the output."""

from __future__ import annotations

import http.server
import json
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_workflows.api.errors import BatchFailed, InvalidInput
from airflow_provider_workflows.batch.submit import FIRST_ROWS
from airflow_provider_workflows.sandbox import Sandbox
from tests.unit.batch_task import BatchTask, event_of

ROW: dict[str, Any] = {
    "first_name": "Qzxanna",
    "last_name": "Qzxkowalska-Nowak",
    "personal_number": "44051401359",
    "email": "qzx@example.org",
    "phone": {"country_code": "48", "number": "601234567"},
    "parameters": {"note": "Qzxnote"},
}
BAD_ROW = {**ROW, "phone": "Qzxphone", "personal_number": "44051401358"}
# Named here, because the lines of a traceback are searched as well.
WITHOUT_PARAMETERS = {name: value for name, value in ROW.items() if name != "parameters"}
ANOTHER_ROW = {**WITHOUT_PARAMETERS, "first_name": "Qzxewa"}
PARAMETERS = {"email": "qzx@example.org"}
VALUES = ("qzx", "44051401359", "601234567")


class Echo(http.server.BaseHTTPRequestHandler):
    """Lets everybody in, and responds to every other call with what was sent.

    ``statuses`` are those of the responses, in turn; the last one is for all further calls.
    """

    protocol_version = "HTTP/1.1"
    statuses = (400,)

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/auth/authorize":
            self.response(
                200, {"accessToken": "a", "refreshToken": "r", "expiresIn": 3600, "tokenType": "Bearer"}
            )
        else:
            status, *further = self.statuses
            type(self).statuses = tuple(further) or (status,)
            self.response(status, {"errors": [{"code": "INVALID", "message": f"cannot take {sent}"}]})

    def response(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def echo(batch: BatchTask, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Echo]]:
    """A service behind the connection that repeats what it was sent, as none should."""
    handler = type("Handler", (Echo,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        connection = {
            "conn_type": "workflows",
            "host": f"http://127.0.0.1:{server.server_port}",
            "login": "key",
            "password": "secret",
        }
        monkeypatch.setenv("AIRFLOW_CONN_WORKFLOWS_DEFAULT", json.dumps(connection))
        yield handler
        server.shutdown()


@pytest.fixture
def shown(
    batch: BatchTask, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Return all that is to be seen of the task, but for its output."""
    caplog.set_level(logging.DEBUG)

    def everything(*more: object, error: BaseException | None = None) -> str:
        printed = capfd.readouterr()
        state = [path.read_text() for path in batch.folder.rglob("_state/**/*") if path.is_file()]
        triggers = [repr(deferred.trigger.serialize()) for deferred in batch.deferred]
        raised = traceback.format_exception(error) if error else []
        stored = [json.dumps(batch.ti.xcoms), json.dumps(batch.store.stored), json.dumps(batch.events)]
        texts = [caplog.text, printed.out, printed.err, *state, *triggers, *raised, *stored, *map(repr, more)]
        return "\n".join(texts).casefold()

    return everything


def assert_nothing_personal(text: str) -> None:
    assert [value for value in VALUES if value in text] == []


@pytest.mark.thorough
def test_values_reach_the_output(batch: BatchTask) -> None:
    batch.run([ROW])

    output = (batch.folder / "results.jsonl").read_text().casefold()
    assert [value for value in VALUES if value not in output] == []


@pytest.mark.thorough
@pytest.mark.parametrize("suffix", ["list", "jsonl"])
def test_nothing_shows_of_a_batch_that_goes_well(
    batch: BatchTask, shown: Callable[..., str], tmp_path: Path, suffix: str
) -> None:
    items: Any = [ROW] * 3
    if suffix == "jsonl":
        items = str(tmp_path / "items.jsonl")
        Path(items).write_text(f"{json.dumps(ROW)}\n" * 3)
    operator = batch.operator(items)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(batch.context)
    batch.deferred.append(deferred.value)
    while_it_waits = shown(operator, operator.items)
    batch.events.append(event_of(deferred.value))

    summary = operator.resume_execution("execute_complete", {"event": batch.events[0]}, batch.context)

    assert '"row":3' in while_it_waits
    assert_nothing_personal(while_it_waits + shown(summary))


def test_nothing_shows_of_bad_rows(batch: BatchTask, shown: Callable[..., str]) -> None:
    with pytest.raises(InvalidInput, match="row 2: phone") as raised:
        batch.run([ROW, BAD_ROW])

    assert_nothing_personal(shown(error=raised.value))


@pytest.mark.thorough
def test_nothing_shows_of_rows_that_are_skipped(
    batch: BatchTask, sandbox: Sandbox, shown: Callable[..., str]
) -> None:
    sandbox.fault("cut_after", path="/workflows/run")

    with pytest.raises(BatchFailed) as raised:
        batch.run([ROW, BAD_ROW], on_bad_row="skip")

    text = shown(error=raised.value)
    assert '"skipped"' in text
    assert_nothing_personal(text)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "statuses", [(400,), (422,), (*[400] * FIRST_ROWS, 500)], ids=["400", "422", "500 after the first rows"]
)
def test_nothing_shows_of_what_the_service_repeats(
    batch: BatchTask, echo: type[Echo], shown: Callable[..., str], statuses: tuple[int, ...]
) -> None:
    echo.statuses = statuses

    with pytest.raises(BatchFailed) as raised:
        batch.run([ROW] * 5, max_outage=0.1)

    text = shown(error=raised.value)
    assert batch.outcomes == ["not_submitted"] * 5
    assert "cannot take" in text
    assert echo.statuses == statuses[-1:]
    assert_nothing_personal(text)
    assert_nothing_personal((batch.folder / "results.jsonl").read_text().casefold())


def test_nothing_shows_of_parameters_that_the_service_repeats(
    batch: BatchTask, echo: type[Echo], shown: Callable[..., str]
) -> None:
    with pytest.raises(Exception, match="cannot take") as raised:
        batch.run([ROW], parameters=PARAMETERS)

    assert_nothing_personal(shown(error=raised.value))


@pytest.mark.thorough
def test_nothing_shows_of_items_that_have_changed(
    batch: BatchTask, sandbox: Sandbox, shown: Callable[..., str]
) -> None:
    sandbox.define(batch.definition_id, seconds=0.0, needs_parameters=True)
    with pytest.raises(BatchFailed):
        batch.run([WITHOUT_PARAMETERS])

    with pytest.raises(InvalidInput, match="items has changed") as raised:
        batch.run([ANOTHER_ROW])

    assert_nothing_personal(shown(error=raised.value))
