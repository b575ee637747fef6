"""The guard before an undocumented name: it checks once, says so once, and gives None."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from airflow_provider_workflows.airflow_internals.feature import (
    Feature,
    FeatureChangedError,
    require_attributes,
    require_parameters,
)


def takes(first: int, *, second: int) -> None:
    """A function whose parameters are asked for."""


class Owner:
    """A class whose attributes are asked for."""

    present = 1


@pytest.fixture(autouse=True)
def keep_the_list_of_features() -> Iterator[None]:
    before = list(Feature.all)
    yield
    Feature.all[:] = before


def feature(found: list[object]) -> Feature[object]:
    """Return a feature that is found the first time that there is something to be found."""
    return Feature("airflow.name", purpose="do a thing", without="Another thing is done", find=found.pop)


def test_what_is_there_is_returned_and_read_once(caplog: pytest.LogCaptureFixture) -> None:
    subject = feature(["thing"])

    found = [subject.get(), subject.get()]

    assert found == ["thing", "thing"]
    assert subject.is_available()
    assert not caplog.records


def test_what_is_missing_is_said_once_with_what_happens_and_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    subject = feature([])

    found = [subject.get(), subject.get()]

    assert found == [None, None]
    assert not subject.is_available()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "cannot do a thing" in record.message
    assert "Another thing is done." in record.message
    assert "install a newer airflow-provider-workflows" in record.message


def test_what_was_forgotten_is_read_again() -> None:
    found: list[object] = []
    subject = feature(found)
    assert subject.get() is None
    found.append("thing")

    subject.forget()

    assert subject.get() == "thing"


@pytest.mark.parametrize("names", [("first",), ("second",), ("first", "second")])
def test_parameters_that_a_function_takes_are_accepted(names: tuple[str, ...]) -> None:
    require_parameters(takes, *names)


def test_a_parameter_that_a_function_does_not_take_is_named() -> None:
    with pytest.raises(FeatureChangedError, match="takes takes no third"):
        require_parameters(takes, "first", "third")


def test_an_attribute_that_is_missing_is_named() -> None:
    require_attributes(Owner, "present")

    with pytest.raises(FeatureChangedError, match="Owner has no absent"):
        require_attributes(Owner, "present", "absent")
