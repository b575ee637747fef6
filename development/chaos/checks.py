"""What must hold when a chaos run is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from development.chaos.occurrences import Occurrences
from development.chaos.service import by_person
from development.chaos.system import BATCH, SINGLE_RUNS, START_OVER, System
from development.chaos.table import Person

#: This many of what was found wrong are named.
MAX_EXAMPLES = 5


@dataclass(frozen=True)
class Check:
    """Something that must hold, and what was found.

    :param name: what must hold
    :param found: the numbers
    :param problems: what is wrong; empty if it holds
    """

    name: str
    found: str
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether it holds."""
        return not self.problems


@dataclass(frozen=True)
class Row:
    """What Airflow and the output say of a row, or of a single run.

    :param name: its key
    :param person: who belongs to it
    :param outcome: how it ended
    :param workflow_id: its run
    :param subject_id: its case, or its record
    :param result: what the run found out, where the output has it
    """

    name: str
    person: Person
    outcome: str
    workflow_id: str | None
    subject_id: str | None
    result: Mapping[str, Any] | None = None


class Outcome:
    """What a chaos run has left: the rows of all outputs, and the runs that the service saw.

    :param system: what everything happened to
    :param occurrences: what has happened
    """

    def __init__(self, system: System, occurrences: Occurrences) -> None:
        self._system = system
        self._occurrences = occurrences
        self.runs = list(system.service.runs())
        self._by_id = {run.workflow_id: run for run in self.runs}
        self._missing: list[str] = []
        self.rows = [*self._rows(BATCH), *self._rows(START_OVER), *self._single_runs()]

    def checks(self) -> list[Check]:
        """Return what must hold, and what was found."""
        return [
            self._one_run_for_each_row(),
            self._each_result_under_its_key(),
            self._unknown_only_where_killed(),
            self._no_run_after_a_stop(),
            self._each_row_accounted_for(),
        ]

    def _one_run_for_each_row(self) -> Check:
        """Hold the runs of each person, as the service saw them, against those that were asked for."""
        problems, again = [], 0
        for person, runs in by_person(self.runs).items():
            # A clear submits a run again that has failed; and a correction makes another person of a row.
            allowed = 1 + sum(run.fails for run in runs[:-1])
            if runs[0].definition_id == self._system.definitions[START_OVER]:
                allowed += self._occurrences.start_overs
            again += min(len(runs), allowed) - 1
            if len(runs) > allowed:
                moments = ", ".join(f"{run.started:.1f}" for run in runs)
                problems.append(f"{person.first_name} {person.last_name}: {len(runs)} runs, at {moments}")
        persons = len(by_person(self.runs))
        found = (
            f"{len(self.runs):,} runs for {persons:,} rows and corrections, {again:,} of them asked for again"
        )
        return Check("A row has one run at the service", found, tuple(problems))

    def _each_result_under_its_key(self) -> Check:
        problems, results = [], 0
        for row in self.rows:
            run = self._by_id.get(row.workflow_id or "")
            if row.workflow_id is not None and (run is None or run.person != row.person):
                problems.append(f"{row.name}: the run {row.workflow_id} is not its own")
            if row.result is not None:
                results += 1
                if not _is_of(row.result, row):
                    problems.append(f"{row.name}: the result of another person")
        with_run = sum(row.workflow_id is not None for row in self.rows)
        return Check(
            "A result stands under its key",
            f"{results:,} results and {with_run:,} runs compared",
            tuple(problems),
        )

    def _unknown_only_where_killed(self) -> Check:
        under_way = self._occurrences.under_way_at_kills
        unknown = [row for row in self.rows if row.outcome == "unknown"]
        problems = [
            f"{row.name}: unknown, and its call was under way at no SIGKILL"
            for row in unknown
            if row.subject_id not in under_way
        ]
        found = (
            f"{len(unknown)} unknown; {len(under_way)} calls under way at {self._occurrences.kills} SIGKILLs"
        )
        return Check("Only a SIGKILL leaves an unknown row", found, tuple(problems))

    def _no_run_after_a_stop(self) -> Check:
        stopped_at = self._system.logs.times_of_stops(BATCH)
        problems, after, measured = [], 0, 0
        started = [run.started for run in self.runs if run.definition_id == self._system.definitions[BATCH]]
        for stop in self._occurrences.stops:
            gone = stop.gone if stop.gone is not None else float("inf")
            last = stop.last_run_at
            if last is None:
                last = min((moment for moment in stopped_at if stop.since <= moment <= gone), default=None)
            if last is None:
                # It has ended before it was told to.
                continue
            measured += 1
            number = sum(last < moment <= gone for moment in started)
            after += number
            if number > stop.under_way:
                lived = (
                    "it is still there" if stop.gone is None else f"it lived for {gone - stop.since:.1f} s"
                )
                problems.append(
                    f"{stop.what}: {number} runs after it had to stop, at most {stop.under_way} under way; {lived}"
                )
        stops = len(self._occurrences.stops)
        found = f"{after} runs after {measured} stops; {stops - measured} had ended before they were told to"
        return Check("A process that has to stop starts nothing more", found, tuple(problems))

    def _each_row_accounted_for(self) -> Check:
        wrong = [row for row in self.rows if row.outcome not in ("succeeded", "unknown")]
        problems = [*self._missing, *(f"{row.name}: {row.outcome}" for row in wrong)]
        outcomes = Counter(row.outcome for row in self.rows)
        found = f"{len(self.rows):,} rows: " + ", ".join(
            f"{n:,} {name}" for name, n in outcomes.most_common()
        )
        return Check("Each row is in an output, with its run", found, tuple(problems))

    def _rows(self, name: str) -> Iterator[Row]:
        persons = self._system.tables[name].persons
        seen: Counter[str] = Counter()
        for line in self._system.output_rows(name):
            key = str(line["key"])
            seen[key] += 1
            if key not in persons:
                self._missing.append(f"{key}: in the output, and not in the input")
                continue
            outcome, workflow_id = str(line["outcome"]), line["workflow_id"]
            subject_id = line.get("record_id") or line["case_id"]
            yield Row(key, persons[key], outcome, workflow_id, subject_id, line["result"])
        self._missing += [f"{key}: {seen[key]} times in the output" for key in persons if seen[key] != 1]

    def _single_runs(self) -> Iterator[Row]:
        records, results = self._system.single_records(), self._system.single_results()
        persons = {run.subject_id: run.person for run in self.runs}
        states = {task.map_index: task.state for task in self._system.tasks(SINGLE_RUNS)}
        for number, subject_id in enumerate(self._system.subject_ids):
            outcome = str(states.get(number))
            if outcome == "success":
                outcome = "succeeded" if number in results else "without a result"
            elif outcome == "failed" and records.get(number, {}).get("phase") == "submitting":
                outcome = "unknown"
            person = persons.get(subject_id, Person("", "", ""))
            yield Row(f"single run {number}", person, outcome, results.get(number), subject_id)


def _is_of(result: Mapping[str, Any], row: Row) -> bool:
    """Return whether a result is a row's, by its person, or by its case or record where it names no person."""
    # Only results of generation 1 do.
    if "partyDetails" in result:
        return Person.of_case(result) == row.person
    return row.subject_id is not None and row.subject_id in (result.get("recordId"), result.get("caseId"))
