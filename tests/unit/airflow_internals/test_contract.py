"""The undocumented names of Airflow, pinned. Where one fails, this Airflow has changed what stands there."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from airflow_provider_workflows import airflow_internals
from airflow_provider_workflows.airflow_internals.feature import Feature

for module in pkgutil.iter_modules(airflow_internals.__path__, f"{airflow_internals.__name__}."):
    importlib.import_module(module.name)

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("feature", Feature.all, ids=lambda feature: feature.names)
def test_this_airflow_has_each_name_as_it_is_used(feature: Feature[object]) -> None:
    feature.find()
