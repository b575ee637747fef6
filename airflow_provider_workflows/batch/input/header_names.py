"""Whether the first line of a file names its columns: if it does not, it is a person, which no message may show."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_provider_workflows.batch.input.columns import plain_name

#: Words of which the names of columns are made, in the languages of the exports that were met.
_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        name names first last given family middle full surname forename personal company customer client user
        account number num no nr id ids code key ref reference phone telephone tel mobile cell email mail address
        street city town zip postal postcode country region state date birth dob born gender sex tax vat status type
        note notes comment comments description parameters documents document case created updated modified row
        index value imie imiona nazwisko nazwa pesel nip regon krs telefon komorka adres ulica miasto kod pocztowy
        kraj klient klienta numer lp plec data urodzenia uwagi firma firmy dowod dokument vorname nachname
        familienname kunde kunden kundennummer nummer firmenname strasse ort plz land handy geburtsdatum
        steuernummer bemerkung anschrift prenom nom numero adresse ville pays naissance entreprise nombre apellido
        apellidos correo direccion ciudad pais empresa cliente fecha nacimiento dni nif cif cognome indirizzo citta
        cellulare azienda codice fiscale jmeno prijmeni meno priezvisko
        """,
    )
)
_NO_NAME = re.compile(r"\d{3}|@")
_SURELY_A_VALUE = re.compile(r"\d|@")
_BETWEEN_WORDS = re.compile(r"[\W_]+")


def are_names(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the cells of a file's first line surely are names of columns, not a person's values.

    :param first: the cells of the first line
    :param rows: the cells of the first few lines after it
    """
    names = [name for name in first if name]
    if not names or any(_NO_NAME.search(name) for name in names):
        return False
    named = sum(map(_is_of_words, names))
    above_values = [_is_above_values(place, name, rows) for place, name in enumerate(first) if name]
    return 2 * named >= len(names) or (named > 0 and any(above_values)) or all(above_values)


def are_words(names: Sequence[str]) -> bool:
    """Return whether each name has a word of which names of columns are made, and nothing of a value.

    :param names: the names
    """
    return bool(names) and all(
        not _NO_NAME.search(name) and any(plain_name(word) in _WORDS for word in _BETWEEN_WORDS.split(name))
        for name in names
    )


def _is_of_words(name: str) -> bool:
    return "_" in name or any(plain_name(word) in _WORDS for word in _BETWEEN_WORDS.split(name))


def _is_above_values(place: int, name: str, rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a name without a digit stands above cells that all have one, or an ``@``."""
    cells = [row[place] for row in rows if place < len(row) and row[place].strip()]
    return bool(cells) and not _SURELY_A_VALUE.search(name) and all(map(_SURELY_A_VALUE.search, cells))
