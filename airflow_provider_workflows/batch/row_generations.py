"""Whether the connection's generation of the API has what a batch and each of its rows is run with."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from airflow_provider_workflows.api.errors import InvalidInput
from airflow_provider_workflows.api.generations import GENERATIONS, in_words
from airflow_provider_workflows.batch.input.bad_rows import named_rows
from airflow_provider_workflows.batch.input.reading import Note, no_note
from airflow_provider_workflows.batch.input.subjects import has_case_field, is_record_field
from airflow_provider_workflows.batch.output_row import RECORD_COLUMNS, VERSION_COLUMNS

if TYPE_CHECKING:
    from airflow_provider_workflows.batch.input.checked_columns import Checked
    from airflow_provider_workflows.batch.input.rows import BadRow, Row

_CASES_BESIDE_TABLE = (
    "table_id is the table in which records are created, and no row of items has a field of a record, such as "
    "record.name: of fields of a case, cases would be created. Name them as fields of a record, or leave table_id "
    "away"
)
_TABLE_IS_NOT_USED = (
    "table_id is not used: no row of items that can be run has a field of a record, such as record.name, so no "
    "record is created. Leave it away if that is right"
)


def rows_of_generation(
    rows: Iterator[Checked],
    generation: int,
    *,
    has_table: bool,
    is_shard: bool = False,
    warn: Note = no_note,
) -> Iterator[Checked]:
    """Yield rows that a generation can run; one about nobody is a bad row where a run must be about somebody.

    :param rows: the rows as they were checked
    :param generation: number of the connection's generation
    :param has_table: whether there is a table in which records are created
    :param is_shard: whether other shards may have rows of which records are created
    :param warn: is told behind the last row that none is created in the table
    :raises InvalidInput: naming a row and what it has that the generation does not have; behind the last row, if
        there is a table, and cases are created, but no record
    """
    from airflow_provider_workflows.batch.input.checked_columns import OrdinaryRows  # noqa: PLC0415  (not while parsing)
    from airflow_provider_workflows.batch.input.rows import NOBODY, BadRow  # noqa: PLC0415  (not while parsing)

    chosen = GENERATIONS[generation]
    has_cases = "case_id" in chosen.run_arguments
    creates_case = creates_record = has_bad = False
    for row in rows:
        if isinstance(row, OrdinaryRows):
            if not has_cases:
                raise _refused(row.row(0), "fields of a case", "case_id", generation)
            creates_case = True
        elif isinstance(row, BadRow):
            has_bad = True
            if ("", NOBODY) in row.problems:
                yield _told_of_nobody(row, generation)
                continue
        elif row.case or row.case_id is not None or row.record is not None or row.record_id is not None:
            _require_subject(row, generation, has_table=has_table)
            creates_case = creates_case or bool(row.case)
            creates_record = creates_record or row.record is not None
        elif chosen.required:
            has_bad = True
            key = row.key if row.has_key else ""
            yield _told_of_nobody(BadRow(row.number, key, (("", NOBODY),), row.has_key, row.line), generation)
            continue
        yield row
    if has_table and not creates_record:
        if creates_case and not has_bad and not is_shard:
            raise InvalidInput(_CASES_BESIDE_TABLE)
        warn(_TABLE_IS_NOT_USED)


def _require_subject(row: Row, generation: int, *, has_table: bool) -> None:
    """Return if a generation has what a row is about."""
    if row.case or row.case_id is not None:
        if "case_id" not in GENERATIONS[generation].run_arguments:
            raise _refused(row, "fields of a case" if row.case else "case_id", "case_id", generation)
        return
    if not has_records(generation):
        what = "record_id" if row.record is None else "fields of a record"
        raise _refused(row, what, "record_id", generation)
    if row.record is not None and not has_table:
        raise InvalidInput(
            f"{_named(row)} of items has fields of a record, and table_id is missing: the id of the table in which "
            "a record is created for each row"
        )


def _told_of_nobody(row: BadRow, generation: int) -> BadRow:
    """Return a row that is about nobody with the words for what a run of a generation may be about."""
    from airflow_provider_workflows.batch.input.rows import NOBODY  # noqa: PLC0415  (not while parsing)

    has_cases = "case_id" in GENERATIONS[generation].run_arguments
    words = NOBODY
    if not has_records(generation):
        words = "has neither a case field nor a case_id"
    elif not has_cases:
        words = "has neither a field of a record nor a record_id"
    problems = tuple(("", words) if problem == ("", NOBODY) else problem for problem in row.problems)
    return dataclasses.replace(row, problems=problems)


def has_records(generation: int) -> bool:
    """Return whether rows may be about records.

    :param generation: number of the connection's generation
    """
    return "record_id" in GENERATIONS[generation].run_arguments


def further_columns(generation: int) -> tuple[str, ...]:
    """Return the names of the columns that an output of a generation has beside those of each output.

    :param generation: number of the connection's generation
    """
    records = RECORD_COLUMNS if has_records(generation) else ()
    versions = VERSION_COLUMNS if GENERATIONS[generation].has_versions else ()
    return (*records, *versions)


def require_generation(
    generation: int, *, table_id: object = None, locale: object = None, expires_at: object = None
) -> None:
    """Return if a generation has what all rows of a batch are run with.

    :param generation: number of the connection's generation
    :param table_id: of the table in which records are created; None for no table
    :param locale: of what end users are shown; None for the service's own
    :param expires_at: when runs expire; None for what the service says
    :raises InvalidInput: naming an argument that the generation does not have
    """
    needed = {"table_id": "record_id", "locale": "locale", "expires_at": "expires_at"}
    for name, given in (("table_id", table_id), ("locale", locale), ("expires_at", expires_at)):
        if given is not None and needed[name] not in GENERATIONS[generation].run_arguments:
            raise InvalidInput(_words(name, needed[name], generation))


def require_possible_fields(
    columns: Mapping[str, str | None] | None,
    defaults: Mapping[str, object] | None,
    *,
    table_id: object = None,
    field_types: object = None,
    locale: object = None,
    expires_at: object = None,
) -> None:
    """Return if there is a generation that has all that a batch's arguments name, when the DAG is parsed.

    :param columns: the field of each column that is named otherwise
    :param defaults: values by field of a case
    :param table_id: of the table in which records are created; None for no table
    :param field_types: types by the names of the fields of these records; None for what the service checks
    :param locale: of what end users are shown; None for the service's own
    :param expires_at: when runs expire; None for what the service says
    :raises InvalidInput: naming what does not go together, or that is missing
    """
    fields = {field for field in (columns or {}).values() if field is not None}
    if table_id is None and (of_record := sorted(filter(is_record_field, fields))):
        raise InvalidInput(
            f"columns has {', '.join(of_record)}, and table_id is missing: the id of the table in which a record "
            "is created for each row"
        )
    if table_id is None and field_types:
        raise InvalidInput(
            "field_types is for the fields of records, and table_id is missing: the id of the table in which a "
            "record is created for each row"
        )
    if locale is None and expires_at is None:
        return
    name = "expires_at" if locale is None else "locale"
    for argument, names in (("columns", fields), ("defaults", set(defaults or ()))):
        if of_case := sorted(each for each in names if each == "case_id" or has_case_field({each})):
            raise InvalidInput(
                f"{argument} has {', '.join(of_case)}, which needs api_generation {_having('case_id')}, and {name} "
                f"needs api_generation {_having(name)}: no connection has both. Leave one of them out"
            )


def _refused(row: Row, what: str, argument: str, generation: int) -> InvalidInput:
    return InvalidInput(f"{_named(row)} of items has {_words(what, argument, generation)}")


def _words(what: str, argument: str, generation: int) -> str:
    verb = "need" if what.startswith("fields") else "needs"
    other = {
        "fields of a case": "Give fields of a record, as columns such as record.name with table_id",
        "case_id": "Give record_id",
    }.get(what, f"Leave {what} out")
    which = "" if what in ("table_id", "locale", "expires_at") else ", which"
    return (
        f"{what}{which} {verb} api_generation {_having(argument)}; the connection has {generation}, so nothing was "
        f"sent. {other}, or use a connection of such a generation"
    )


def _having(argument: str) -> str:
    """Return the numbers of the generations whose runs may be started with an argument, as messages name them."""
    return in_words(number for number, one in GENERATIONS.items() if argument in one.run_arguments)


def _named(row: Row) -> str:
    return named_rows([row.number], [] if row.line is None else [row.line])
