"""What a task gets of the events that have started its run, where no event has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider_workflows.lineage.triggering import triggering_events

RESULTS = Asset("results")


@pytest.mark.parametrize("events", [{RESULTS: []}, {}], ids=["an empty list", "not even a list"])
def test_a_run_that_a_person_has_triggered_has_no_events(events: Mapping[Asset, Any]) -> None:
    assert triggering_events(RESULTS, {"triggering_asset_events": events}) == []
