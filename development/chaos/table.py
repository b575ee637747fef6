"""The table of cases that a batch runs on, and the persons who belong under its keys."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

#: The fields of a person's record, and the columns of a person's case, in the order of ``Person``.
RECORD_FIELDS = ("firstName", "lastName", "personalNumber")
_CASE_COLUMNS = ["first_name", "last_name", "personal_number"]


@dataclass(frozen=True, slots=True)
class Person:
    """A person as a row has it, and as the service gives it back in a result.

    :param first_name: says which row it is
    :param last_name: says which correction of the row it is
    :param personal_number: as text
    """

    first_name: str
    last_name: str
    personal_number: str

    @classmethod
    def of_case(cls, case: Mapping[str, Any]) -> Person:
        """Return the person of a case, or of a result, as the API gives it."""
        personal = case["partyDetails"]["personal"]
        return cls(
            personal.get("firstName", ""), personal.get("lastName", ""), personal.get("personalNumber", "")
        )

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Person:
        """Return the person of a record, as the API gives it."""
        return cls(*(str(record.get(name, "")) for name in RECORD_FIELDS))

    @property
    def record(self) -> dict[str, str]:
        """The fields of the person's record."""
        return dict(zip(RECORD_FIELDS, (self.first_name, self.last_name, self.personal_number), strict=True))


class Table:
    """A table of cases or records with a key in each row, which can be exported in any order, and corrected.

    :param path: the CSV file
    :param name: what the persons' first names begin with
    :param rows: number of rows
    :param of_records: whether the columns are those of a record in place of those of a case
    """

    def __init__(self, path: Path, name: str, rows: int, *, of_records: bool = False) -> None:
        self.path = path
        self._columns = [f"record.{name}" for name in RECORD_FIELDS] if of_records else _CASE_COLUMNS
        #: The person that belongs under each key now.
        self.persons = {
            f"{name}-{number}": Person(f"{name}{number}", "Export1", f"{80_000_000_000 + number}")
            for number in range(1, rows + 1)
        }
        self._corrections = 1
        self._order = list(self.persons)

    def export(self, order: Iterable[str] | None = None) -> None:
        """Write the file, which takes the place of the one that is there.

        :param order: all keys, in the order of the rows; None for that of the last export
        """
        self._order = self._order if order is None else list(order)
        new = self.path.with_suffix(".new")
        with new.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["key", *self._columns])
            for key in self._order:
                person = self.persons[key]
                writer.writerow([key, person.first_name, person.last_name, person.personal_number])
        new.replace(self.path)

    def export_in_another_order(self, chance: random.Random) -> None:
        """Write the file with its rows in an order that is drawn."""
        self.export(chance.sample(self._order, len(self._order)))

    def correct(self, chance: random.Random, share: float) -> int:
        """Give persons another last name, write the file, and return how many were corrected.

        :param share: the share of the rows
        """
        self._corrections += 1
        keys = chance.sample(self._order, max(1, round(share * len(self._order))))
        for key in keys:
            self.persons[key] = replace(self.persons[key], last_name=f"Export{self._corrections}")
        self.export()
        return len(keys)
