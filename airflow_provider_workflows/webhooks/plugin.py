"""Where the plugin was: environments that were installed before it moved name it so."""

from __future__ import annotations

import importlib

WorkflowsPlugin = importlib.import_module("airflow_provider_workflows.plugin").WorkflowsPlugin
