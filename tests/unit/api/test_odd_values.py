"""One odd value in a response loses neither a run nor a result: it is kept as the service sent it, or as text."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_workflows.api import AsyncWorkflowsClient, Settings, async_client, response_json
from airflow_provider_workflows.api.http_rules import decoded
from airflow_provider_workflows.api.response_json import NotJson, parse_response
from airflow_provider_workflows.batch.output import read_output
from airflow_provider_workflows.batch.output_options import OUTPUT_FORMATS, OutputOptions
from airflow_provider_workflows.batch.output_row import OutputRow
from airflow_provider_workflows.batch.output_writer import writer
from airflow_provider_workflows.results import as_json
from airflow_provider_workflows.storage import storage_path
from tests.harness.hostile_server import HostileServer, gzipped, json_response

from .conftest import Driver

Drive = Callable[..., Driver]

WORKFLOW = "11111111-1111-4111-8111-111111111111"
CASE = "22222222-2222-4222-8222-222222222222"
DIGITS = "9" * 5000

#: A result as the service sends it, what it is for the caller, and the words of the log.
ODD: dict[str, tuple[bytes, Any, str]] = {
    "half of a surrogate pair": (rb'{"x": "A\ud800"}', {"x": "A\\ud800"}, "half of a surrogate pair (1)"),
    "the other half in a name": (rb'{"\udc00": 1}', {"\\udc00": 1}, "half of a surrogate pair (1)"),
    "a half before a whole pair": (
        rb'{"x": "\ud800\ud83d\ude00"}',
        {"x": "\\ud800\U0001f600"},
        "half of a surrogate pair (1)",
    ),
    "5,000 digits": (b'{"x": %s}' % DIGITS.encode(), {"x": DIGITS}, "a number of thousands of digits (1)"),
    "5,000 digits below zero": (
        b'{"x": -%s}' % DIGITS.encode(),
        {"x": f"-{DIGITS}"},
        "a number of thousands of digits (1)",
    ),
    "1e400": (
        b'{"x": [1e400, -1E999]}',
        {"x": ["1e400", "-1E999"]},
        "a number beyond the range of a float (2)",
    ),
    "250 digits and an exponent of two digits": (
        b'{"x": %se99}' % (b"9" * 250),
        {"x": "9" * 250 + "e99"},
        "a number beyond the range of a float (1)",
    ),
    "NaN": (b'{"x": NaN, "y": {"z": NaN}}', {"x": "NaN", "y": {"z": "NaN"}}, "NaN or Infinity (2)"),
    "Infinity": (b'{"x": [Infinity, -Infinity]}', {"x": ["Infinity", "-Infinity"]}, "NaN or Infinity (2)"),
    "a byte that is not UTF-8": (b'{"x": "a\xff"}', {"x": "a\ufffd"}, "bytes that are not UTF-8"),
}
#: Odd as well, but it can be kept as it is: nothing is said of it.
KEPT: dict[str, tuple[bytes, Any]] = {
    "a byte order mark": (b'\xef\xbb\xbf{"x": 1}', {"x": 1}),
    "UTF-16": ('{"x": "ł"}'.encode("utf-16"), {"x": "ł"}),
    "UTF-16 without a mark": ('{"x": "ł"}'.encode("utf-16-le"), {"x": "ł"}),
    "NUL in a text": (rb'{"x": "a\u0000b"}', {"x": "a\0b"}),
    "a whole pair": (rb'{"x": "\ud83d\ude00"}', {"x": "\U0001f600"}),
    "a backslash before a half": (rb'{"x": "\\ud800"}', {"x": "\\ud800"}),
    "a line break in a text": (b'{"x": "a\nb\tc"}', {"x": "a\nb\tc"}),
    "4,000 digits": (b'{"x": %s}' % (b"9" * 4000), {"x": int("9" * 4000)}),
    "a float": (b'{"x": 1e300, "y": 1E-999}', {"x": 1e300, "y": 0.0}),
    "300 levels": (
        b'{"x": ' + b"[" * 300 + b"]" * 300 + b"}",
        json.loads('{"x": ' + "[" * 300 + "]" * 300 + "}"),
    ),
    "white space around it": (b'\r\n\t {"x": 1} \n\n', {"x": 1}),
    "a name twice": (b'{"x": 1, "x": 2}', {"x": 2}),
}


def responding(body: bytes, *headers: str) -> HostileServer:
    return HostileServer(lambda _: [json_response(body, *headers)])


def settings(server: HostileServer) -> Settings:
    return Settings(host=server.host, secret="tot_x", max_attempts=1, read_timeout=10.0)


@pytest.mark.parametrize("name", ODD)
def test_what_cannot_be_expressed_is_kept_as_text_with_a_word(
    drive: Drive, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    body, value, said = ODD[name]
    with responding(body) as server:
        client = drive(settings(server))

        result = client("read_result", WORKFLOW).json_object()

    assert result == value
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said in line
    assert WORKFLOW in line
    assert "999" not in line


@pytest.mark.parametrize("name", KEPT)
def test_what_can_be_expressed_is_kept_without_a_word(
    drive: Drive, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    body, value = KEPT[name]
    with responding(body) as server:
        client = drive(settings(server))

        result = client("read_result", WORKFLOW).json_object()

    assert result == value
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


@pytest.mark.parametrize("name", [*ODD, *KEPT])
@pytest.mark.parametrize("output_format", OUTPUT_FORMATS)
def test_what_was_kept_can_be_written_and_read_again(
    tmp_path_factory: pytest.TempPathFactory, name: str, output_format: str
) -> None:
    result = parse_response((ODD | KEPT)[name][0]).value  # type: ignore[operator]
    folder = str(tmp_path_factory.mktemp("output"))
    row = OutputRow("1", 1, "succeeded", "COMPLETED", CASE, WORKFLOW, None, None, result, None, None)

    with writer(storage_path("output", folder), OutputOptions(output_format)) as rows:
        rows.write(row)
    [written] = read_output(f"{folder}/results.{output_format}")

    assert written["result"] == result
    assert json.loads(as_json(result)) == result


def test_a_word_is_said_once_a_minute(drive: Drive, caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    with responding(b'{"x": NaN}') as server:
        client = drive(settings(server), clock=lambda: now)

        for _ in range(30):
            client("read_result", WORKFLOW)
        now += 61.0
        client("read_result", WORKFLOW)

    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [line.split()[0] for line in lines] == ["1", "30"]


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (["run_workflow", WORKFLOW, CASE], {"id": WORKFLOW, "caseId": CASE, "status": "RUNNING"}),
        (["create_case"], {"caseId": CASE}),
        (["create_parameters", WORKFLOW, {}], {"id": CASE}),
        (["read_workflow", WORKFLOW], {"id": WORKFLOW, "status": "RUNNING"}),
        (["read_result", WORKFLOW], {"decision": "PASS"}),
    ],
    ids=["run", "case", "parameters", "status", "result"],
)
def test_a_byte_order_mark_before_any_response_is_read_over(drive: Drive, call: list[Any], body: Any) -> None:
    with responding(json.dumps(body).encode("utf-8-sig")) as server:
        client = drive(settings(server))

        assert client(*call).model_dump(by_alias=True, exclude_unset=True) == body


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (["run_workflow", WORKFLOW, CASE], rb'{"id": "%s", "status": "\ud800", "extra": NaN}'),
        (["run_workflow", WORKFLOW, CASE], b'{"id": "%s", "caseId": {"odd": 1}, "status": 17}'),
        (["read_workflow", WORKFLOW], b'{"id": "%s", "status": "RUNNING", "caseId": 1e400}'),
    ],
)
def test_an_odd_value_beside_the_id_does_not_lose_a_run(drive: Drive, call: list[Any], body: bytes) -> None:
    with responding(body % WORKFLOW.encode()) as server:
        client = drive(settings(server))

        assert client(*call).id == WORKFLOW


@pytest.mark.parametrize(
    ("body", "code", "fingerprint"),
    [
        (b'\xef\xbb\xbf{"fingerprint": "abc", "errors": [{"code": "INVALID"}]}', "INVALID", "abc"),
        (b'{"fingerprint": "abc", "errors": [{"code": 17, "message": {"odd": 1}}]}', "17", "abc"),
        (b'{"fingerprint": "abc", "errors": {"code": "INVALID"}}', "INVALID", "abc"),
        (b'{"fingerprint": "abc", "errors": ["odd", null]}', None, "abc"),
        (b'{"fingerprint": "abc", "errors": null}', None, "abc"),
        (b'{"fingerprint": 17, "errors": [], "extra": NaN}', None, "17"),
        (b'["abc"]', None, None),
    ],
)
def test_an_odd_value_in_an_error_does_not_lose_its_fingerprint(
    drive: Drive, body: bytes, code: str | None, fingerprint: str | None
) -> None:
    with HostileServer(lambda _: [json_response(body, status="400 Bad Request")]) as server:
        client = drive(settings(server))

        with pytest.raises(Exception) as raised:  # noqa: PT011  (what it says is asserted)
            client("read_workflow", WORKFLOW)

    assert raised.value.code == code
    assert raised.value.fingerprint == fingerprint


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "ends in the middle"),
        (b'{"a"', "ends in the middle"),
        (b'{"a": "x', "ends in the middle"),
        (b'{"a": 1} x', "something behind it"),
        (b"<html>", "not JSON"),
        (b'{"a":}', "not JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b"\x00\x01\x02", "not JSON"),
    ],
)
def test_what_is_not_json_is_told_apart(body: bytes, reason: str) -> None:
    with pytest.raises(NotJson, match=reason):
        parse_response(body)


@pytest.mark.thorough
class TestLargeResponse:
    """It is read in a thread, and the event loop goes on meanwhile."""

    BODY = json.dumps({"rows": [{"number": number, "text": "ł" * 10} for number in range(60_000)]}).encode()

    @pytest.mark.parametrize("coding", ["identity", "gzip"])
    async def test_the_event_loop_goes_on(self, coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
        ticks: list[int] = []
        parse = response_json._parse_carefully

        def counted(body: bytes) -> Any:
            before = len(ticks)
            try:
                return parse(body)
            finally:
                ticks_meanwhile.append(len(ticks) - before)

        async def tick() -> None:
            while True:
                ticks.append(1)
                await asyncio.sleep(0.001)

        ticks_meanwhile: list[int] = []
        monkeypatch.setattr(response_json, "_parse_carefully", counted)
        body = gzipped(self.BODY) if coding == "gzip" else self.BODY
        with responding(body, f"Content-Encoding: {coding}") as server:
            async with AsyncWorkflowsClient(settings(server)) as client:
                ticking = asyncio.create_task(tick())
                result = await client.read_result(WORKFLOW)
                ticking.cancel()

        assert len(result.json_object()["rows"]) == 60_000
        assert ticks_meanwhile[0] >= 3

    @pytest.mark.parametrize("headers", [["gzip, gzip"], ["gzip", "gzip"]], ids=["a list", "two headers"])
    async def test_that_unpacks_from_a_few_bytes_is_unpacked_in_a_thread(
        self, headers: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        threads: list[threading.Thread] = []

        def noted(*args: Any, **options: Any) -> bytes | None:
            threads.append(threading.current_thread())
            return decoded(*args, **options)

        monkeypatch.setattr(async_client, "decoded", noted)
        body = gzipped(gzipped(b'{"x": "%s"}' % (b" " * 1_000_000)))
        with responding(body, *[f"Content-Encoding: {header}" for header in headers]) as server:
            async with AsyncWorkflowsClient(settings(server)) as client:
                result = await client.read_result(WORKFLOW)

        assert len(body) < async_client.MAX_BYTES_DECODED_ON_LOOP
        assert len(result.json_object()["x"]) == 1_000_000
        assert threading.main_thread() not in threads

    def test_is_read_alike(self, drive: Drive) -> None:
        with responding(self.BODY) as server:
            client = drive(settings(server))

            assert client("read_result", WORKFLOW).json_object() == json.loads(self.BODY)

    def test_that_is_cut_off_is_an_error_like_any_other(self, drive: Drive) -> None:
        with responding(self.BODY[:-10]) as server:
            client = drive(settings(server))

            with pytest.raises(Exception, match="ends in the middle"):
                client("read_result", WORKFLOW)
