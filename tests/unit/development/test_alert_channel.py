"""The chat channel of ``make airflow`` shows the alerts that the notifier posts."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.error
import urllib.request

import pytest
from airflow.sdk import Connection

from airflow_provider_workflows.notifications.delivery import deliver, url_of
from development.alert_channel import AlertChannel


@pytest.mark.thorough
def test_a_message_that_is_posted_is_shown() -> None:
    shown: list[str] = []

    with AlertChannel(shown.append) as channel:
        url = url_of(Connection(conn_id="workflows_alerts", **channel.connection))
        asyncio.run(deliver(url, "Task run has failed.\nError: Żółć"))

    assert shown == ["Task run has failed.\nError: Żółć"]


@pytest.mark.thorough
def test_a_message_is_printed_indented_below_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    with AlertChannel() as channel:
        asyncio.run(deliver(channel.connection["password"], "Task run has failed.\nLog: http://..."))

    assert capsys.readouterr().out == "\nAlert\n  Task run has failed.\n  Log: http://...\n\n"


@pytest.mark.thorough
@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", json.dumps({"message": "x"}).encode()])
def test_what_is_no_message_is_refused(body: bytes) -> None:
    shown: list[str] = []

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with AlertChannel(shown.append) as channel, pytest.raises(urllib.error.HTTPError, match="400"):
        opener.open(channel.connection["password"], data=body, timeout=10)

    assert shown == []


@pytest.mark.thorough
def test_nothing_of_it_is_left_afterwards() -> None:
    with AlertChannel(print) as channel:
        assert channel.connection["conn_type"] == "generic"

    assert not [
        thread for thread in threading.enumerate() if thread.name == "alert-channel" and thread.is_alive()
    ]
