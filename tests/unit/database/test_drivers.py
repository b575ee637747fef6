"""What an error of a driver that cannot be run here says of another try."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_workflows.api.errors import DatabaseFailed, InvalidInput
from airflow_provider_workflows.database.failures import database_failure


class Refused(Exception):
    """What a driver raises."""


@pytest.mark.parametrize(
    ("error", "is_lasting"),
    [
        (Refused("[TABLE_OR_VIEW_NOT_FOUND] No `results`. SQLSTATE: 42P01"), True),
        (Refused("'SQLSTATE: 42P01' is no number. SQLSTATE: 08006"), False),
        (Refused("[SQLSTATE: nothing] 42P01"), False),
        (Refused(SimpleNamespace(code=404)), True),
        (Refused(SimpleNamespace(code=400)), True),
        (Refused(SimpleNamespace(code=503)), False),
        (Refused(SimpleNamespace(code=403)), False),
    ],
    ids=str,
)
def test_an_error_without_a_sqlstate_of_its_own_is_judged_by_what_it_holds_and_says_none_of_it(
    error: Exception, is_lasting: bool
) -> None:
    failure = database_failure("result_table", "warehouse", error)

    assert type(failure) is (InvalidInput if is_lasting else DatabaseFailed)
    assert "results`" not in str(failure)
    assert "42P01" not in str(failure)
