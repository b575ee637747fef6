"""Numbers of things in words, as log lines, errors and pages of all parts have them."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number of things in words: ``1 row``, ``2,000 rows``; of none, ``0 rows``.

    :param number: how many there are
    :param one: what one of them is called, with its verb if one follows: ``"poll has failed"``
    :param many: what several are called; by default ``one`` with an "s"
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
