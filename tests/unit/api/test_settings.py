"""Settings that are refused before the first call; statuses; redaction."""

from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_provider_workflows.api import Outcome, Settings, Statuses, status
from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.pseudonyms import find_personal_number, personal_number_hash
from airflow_provider_workflows.api.redaction import (
    ALL_FIELDS,
    PersonalFields,
    excerpt,
    redact_url_tokens,
    redact_values,
    values_of_personal_fields,
)

UNRECOGNISED = "ON_THE_MOON"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"host": "http://example.org"}, "plain http to example.org"),
        ({"host": "http://127.0.0.1.example.org"}, "plain http"),
        ({"host": "ftp://example.org"}, "must be a URL"),
        ({"host": "example.org"}, "must be a URL"),
        ({"host": "https://user:word@example.org"}, "without user"),
        ({"host": "https://example.org?a=b"}, "without user, query"),
        ({"host": "https://exa mple.org"}, "white space"),
        ({"host": "https://[::1"}, "not a URL"),
        ({"host": "https://example.org:port"}, "not a URL"),
        ({"secret": ""}, "no organization token"),
        ({"key": ""}, "no API key"),
        ({"key": "a\nb"}, "key has white space"),
        ({"connect_timeout": 0}, "connect_timeout must be"),
        ({"read_timeout": -1}, "read_timeout must be"),
        ({"read_timeout": float("nan")}, "read_timeout must be"),
        ({"max_attempts": 0}, "max_attempts must be"),
        ({"verify": "no/such/file.pem"}, "CA file that does not exist"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as raised:
        Settings(**{"key": "key", "secret": "swordfish", **given})  # type: ignore[arg-type]

    assert "swordfish" not in str(raised.value)


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:8099", "http://[::1]:8099", "http://localhost", "https://example.org/path/"]
)
def test_https_and_loopback_hosts_are_taken(host: str) -> None:
    assert Settings(host=host, key="k", secret="s").host == host.rstrip("/")


def test_the_secret_is_not_shown() -> None:
    assert "swordfish" not in repr(Settings(key="key", secret="swordfish"))


class TestStatuses:
    @pytest.mark.parametrize(
        ("name", "outcome"),
        [
            ("COMPLETED", Outcome.SUCCESS),
            *[(name, Outcome.FAILURE) for name in status.FAILURE_STATUSES],
            ("RUNNING", Outcome.PENDING),
            (UNRECOGNISED, Outcome.PENDING),
            ("completed", Outcome.PENDING),
            ("", Outcome.PENDING),
        ],
    )
    def test_mean_success_failure_or_pending(self, name: str, outcome: Outcome) -> None:
        assert Statuses().outcome(name) is outcome

    def test_that_are_not_recognised_are_logged_once(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(status, "_reported", set())

        for _ in range(3):
            Statuses().outcome(UNRECOGNISED)
            Statuses().outcome("RUNNING")

        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert UNRECOGNISED in caplog.text

    def test_are_configuration(self) -> None:
        statuses = Statuses.of(["DONE", "FAILED"], None)

        assert statuses.outcome("DONE") is Outcome.SUCCESS
        assert statuses.outcome("FAILED") is Outcome.SUCCESS
        assert statuses.outcome("REJECTED") is Outcome.FAILURE
        assert statuses.outcome("COMPLETED") is Outcome.PENDING

    def test_cannot_mean_both(self) -> None:
        with pytest.raises(InvalidInput, match="both name DONE"):
            Statuses.of(["DONE"], ["DONE"])


HASH = "9494e8ecc0e70aa72b01928f71ba42fcb4670ee32bfc5e83cd7714205c7e921c"


class TestPersonal:
    def test_values_under_personal_names_are_found_at_any_depth(self) -> None:
        result = {
            "partyDetails": {"personal": {"firstName": "Jo", "phone": {"number": "6"}, "email": None}},
            "checks": [{"personal_number": "02211012345", "passed": True}],
        }

        assert set(values_of_personal_fields(result)) == {"Jo", "6", "02211012345"}

    @pytest.mark.parametrize("name", ["motherMaidenName", "mother_maiden_name", "Mother maiden-name"])
    def test_a_connection_adds_names_however_they_are_spelled(self, name: str) -> None:
        fields = PersonalFields(["mother_maiden_name"])

        assert list(values_of_personal_fields({"a": [{name: "Kowalska"}], "b": "c"}, fields)) == ["Kowalska"]
        assert not list(values_of_personal_fields({name: "Kowalska"}))

    def test_where_no_field_is_known_every_field_is_personal(self) -> None:
        assert set(values_of_personal_fields({"limit": 5, "a": {"b": "c"}}, ALL_FIELDS)) == {"5", "c"}

    @pytest.mark.parametrize("number", ["02211012345", " 02211012345\n"])
    def test_the_hash_of_a_personal_number_is_the_same_however_it_is_written(self, number: str) -> None:
        # openssl dgst -sha256 -hmac kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
        key = "k" * 32

        assert personal_number_hash(number, key) == HASH
        assert personal_number_hash(2211012345, key) == personal_number_hash("2211012345", key) != HASH
        assert personal_number_hash(number, "l" * 32) != HASH

    @pytest.mark.parametrize("number", [None, "", "  ", True])
    def test_what_is_no_personal_number_has_no_hash(self, number: object) -> None:
        assert personal_number_hash(number, "k" * 32) is None

    @pytest.mark.parametrize(
        ("value", "found"),
        [
            ({"partyDetails": {"personal": {"personalNumber": "1"}}}, "1"),
            ({"deep": [{"personal_number": "2"}], "personal_number": "1"}, "1"),
            ({"personalNumber": 12}, 12),
            ({"personalNumber": None, "a": {"b": "c"}}, None),
            (["a", 1, None], None),
        ],
    )
    def test_the_outermost_personal_number_is_found(self, value: object, found: object) -> None:
        assert find_personal_number(value) == found

    @pytest.mark.parametrize(
        ("body", "shown"),
        [
            (b"<html>\n<title>502</title>", "<html> <title>502</title>"),
            (
                b'{"firstName": "Jo", "n": 12, "status": "RUNNING"}',
                '{"firstName": "…", "n": …, "status": "RUNNING"}',
            ),
            (b'{"firstName": "Jo', '{"firstName": "…"'),
            (b'["Jo", 1]', '["…", …]'),
            (b"a\x00\x1b[31mb\r\nc", "a [31mb c"),
            (b"x" * 1000, "x" * 159 + "…"),
        ],
    )
    def test_an_excerpt_shows_names_and_no_values(self, body: bytes, shown: str) -> None:
        assert excerpt(body.decode()) == shown

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("BRUNHILDE is unknown", "*** is unknown"),
            ("number 02211012345", "number ***"),
            ("Jo is not John", "*** is not John"),
            ("must be 1 to 9", "must be 1 to 9"),
        ],
    )
    def test_what_was_sent_does_not_come_back(self, text: str, shown: str) -> None:
        sent = {"firstName": "Brunhilde", "lastName": "Jo", "personalNumber": "02211012345", "n": 1}

        assert redact_values(text, sent) == shown


@pytest.mark.thorough
def test_the_api_can_be_used_without_airflow() -> None:
    program = (
        "import sys; sys.modules['airflow'] = None; "
        "import airflow_provider_workflows.api, airflow_provider_workflows.sandbox"
    )

    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("bad https://host/e?token=TOK-1a&x=1.", "bad https://host/e?token=***&x=1."),
        ("bad https://host/e?x=1&accessToken=TOK", "bad https://host/e?x=1&accessToken=***"),
        ("bad https%3A//host/e%3Ftoken%3DTOK%26x%3D1", "bad https%3A//host/e%3Ftoken%3D***%26x%3D1"),
        ('see <a href="/e?token=TOK">', 'see <a href="/e?token=***">'),
        ("the token is too old", "the token is too old"),
    ],
)
def test_the_token_of_a_link_that_the_service_repeats_is_redacted(text: str, shown: str) -> None:
    assert redact_url_tokens(text) == shown
