"""The keys of all XComs that tasks of this package write, beside their return value."""

from __future__ import annotations

#: The id of the run that a task waits for, from before the wait begins: webhooks find the task by it.
WORKFLOW_ID_KEY = "workflow_id"
#: The address of the run's page.
WORKFLOW_LINK_KEY = "workflow_link"
#: Names the run whose end user has a link, and not the link (``end_user_links.py`` has the format).
END_USER_LINK_KEY = "end_user_link"
#: What there is to say of a task's run or batch, for its page, alerts and other tasks (``run_report.py`` and
#: ``batch/report.py`` have the formats).
REPORT_KEY = "workflow_report"
#: What the task of a batch would have returned that has failed, was stopped or has timed out.
SUMMARY_KEY = "batch_summary"
#: The latest completions that webhooks have brought for a batch that waits (``batch/inbox.py`` has the format).
#: Earlier ones are under this key with a number.
INBOX_KEY = "workflow_completions"
#: The runs that a batch waits for, from before the wait begins: webhooks find the batch by them
#: (``batch/awaited_runs.py``).
AWAITED_RUNS_KEY = "workflow_awaited_runs"
