"""The table of a chaos run, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from development.chaos.checks import MAX_EXAMPLES
from development.chaos.run import Report


def lines(report: Report) -> Iterator[str]:
    """Yield the lines of the table."""
    size = report.size
    amount = f"{size.single_runs:,} single runs and a batch of {size.rows:,} rows"
    yield f"Seed {report.seed}, generation {report.generation}: {amount}, in {report.seconds / 60:.0f} minutes."
    yield ""
    yield "| done | times |"
    yield "| --- | ---: |"
    for name, times in sorted(report.done.items()):
        yield f"| {name} | {times} |"
    for name in report.ended_alone:
        yield f"| {name} has ended by itself | 1 |"
    yield ""
    yield "| must hold | found | |"
    yield "| --- | --- | --- |"
    for check in report.checks:
        yield f"| {check.name} | {check.found} | {'yes' if check.holds else f'NO, {len(check.problems)}'} |"
    for check in report.checks:
        if check.problems:
            yield ""
            yield f"{check.name}:"
            yield from (f"- {problem}" for problem in check.problems[:MAX_EXAMPLES])
            if len(check.problems) > MAX_EXAMPLES:
                yield f"- and {len(check.problems) - MAX_EXAMPLES:,} more"
    if report.logs is not None:
        yield ""
        yield f"The logs of all tasks are in {report.logs}."
    if report.left:
        yield ""
        yield "Not reached in time:"
        yield from (f"- {name}" for name in report.left)
