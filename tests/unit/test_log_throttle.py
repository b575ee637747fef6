"""A line that there is often a reason for is logged now and then, with how often there was."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from airflow_provider_workflows.log_throttle import QuietLogger, ThrottledWarning


def test_the_first_is_logged_and_the_others_are_counted_until_a_line_is_due(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    warn = ThrottledWarning(
        logging.getLogger(__name__),
        "%s, the latest: %s",
        ("has failed", "have failed"),
        interval=10.0,
        clock=lambda: now,
    )

    for moment in (0.0, 1.0, 9.9, 10.0):
        now = moment
        warn(f"at {moment}")

    assert [record.getMessage() for record in caplog.records] == [
        "1 has failed, the latest: at 0.0",
        "3 have failed, the latest: at 10.0",
    ]


class TestQuietLogger:
    NAME = "library.http"

    @pytest.fixture
    def library(self, caplog: pytest.LogCaptureFixture) -> Iterator[logging.Logger]:
        caplog.set_level(logging.INFO)
        logger = logging.getLogger(self.NAME)
        yield logger
        logger.setLevel(logging.NOTSET)

    @pytest.mark.parametrize("level", [logging.NOTSET, logging.DEBUG, logging.ERROR])
    def test_logs_warnings_only_within_its_blocks_and_what_it_did_before_after_the_last(
        self, library: logging.Logger, level: int
    ) -> None:
        library.setLevel(level)
        other = QuietLogger(self.NAME)

        with other.quiet():
            with other.quiet():
                pass
            assert not library.isEnabledFor(logging.INFO)
            assert library.isEnabledFor(logging.ERROR)
            assert library.isEnabledFor(logging.WARNING) is (level != logging.ERROR)

        assert library.level == level

    def test_is_as_before_after_an_exception(self, library: logging.Logger) -> None:
        with pytest.raises(ValueError, match="x"), QuietLogger(self.NAME).quiet():
            raise ValueError("x")

        assert library.isEnabledFor(logging.INFO)
