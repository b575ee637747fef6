"""How a spreadsheet shows a number: the part of its formats that tables of people have."""

from __future__ import annotations

import datetime as dt
import re
from decimal import ROUND_HALF_UP, Decimal

#: A spreadsheet keeps so much of a number.
_DIGITS = 15
_SECTION = re.compile(r'(?:"[^"]*"|\\.|\[[^\]]*\]|[^;])+')
_TOKEN = re.compile(
    r'"([^"]*)"|\\(.)|_.|\*.|\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]|(AM/PM|A/P|([ymdhs])\5*|.)', re.IGNORECASE
)
#: What is not a date's part although it has its letters: text in quotes, a colour, a currency.
_NOT_OF_A_DATE = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
#: A unit of which all are counted that have passed, as hours beyond 24.
_ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_PLAIN = frozenset(("", "general", "@"))
_FIRST_DAY = dt.datetime.combine(dt.date(1899, 12, 30), dt.time())
_FIRST_DAY_1904 = dt.datetime.combine(dt.date(1904, 1, 1), dt.time())
#: Before this day, a spreadsheet counts a 29th of February 1900 that there was not.
_AFTER_THE_MISTAKE = 61


def shown_number(value: float, code: str, *, begins_1904: bool = False) -> str:
    """Return a number as a spreadsheet shows it.

    A date whose format names months or days of the week is shown as ISO 8601 has it, since their language is not
    known here; so is one whose format depends on the country.

    :param value: the number
    :param code: its format, such as ``"00000"`` or ``"dd.mm.yyyy"``
    :param begins_1904: whether days are counted from 1904
    """
    sections = _SECTION.findall(code) or [""]
    if code.strip().casefold() in _PLAIN or any(
        "[<" in each or "[>" in each or "[=" in each for each in sections
    ):
        return plain_number(value)
    section, number = sections[0], value
    if value < 0 and len(sections) > 1:
        section, number = sections[1], -value
    elif value == 0 and len(sections) > 2:
        section = sections[2]
    if (
        re.search(r"[ymdhs]", _NOT_OF_A_DATE.sub("", section), re.IGNORECASE)
        and "general" not in section.casefold()
    ):
        return _date(number, section, begins_1904=begins_1904)
    return _number(number, section)


def plain_number(value: float) -> str:
    """Return a number as digits, as it is shown where nothing else is said.

    :param value: the number
    """
    if value == int(value) and abs(value) < 10**_DIGITS:
        return str(int(value))
    return format(value, f".{_DIGITS}g").upper()


def _date(value: float, section: str, *, begins_1904: bool) -> str:
    first = _FIRST_DAY_1904 if begins_1904 else _FIRST_DAY
    days = value if begins_1904 or value >= _AFTER_THE_MISTAKE else value + 1
    try:
        moment = first + dt.timedelta(milliseconds=round(days * 86_400_000))
    except OverflowError:
        return plain_number(value)
    tokens = [match for match in _TOKEN.finditer(section) if not match[0].startswith(("_", "*"))]
    letters = [(match[4] or "").casefold() for match in tokens]
    if _ELAPSED.search(section) and not any(each[:1] in ("d", "y") for each in letters):
        return _elapsed(value, tokens)
    if any(each[:1] in "md" and len(each) > 2 for each in letters if each) or "[h" in section.casefold():
        return _as_iso(moment, letters)
    has_half = any(each in ("am/pm", "a/p") for each in letters)
    shown = []
    for place, (match, letter) in enumerate(zip(tokens, letters, strict=True)):
        near = [each[:1] for each in letters[:place] if each[:1] in ("h", "s", "d", "y", "m")][-1:]
        after = [each[:1] for each in letters[place + 1 :] if each[:1] in ("h", "s", "d", "y", "m")][:1]
        is_minute = letter[:1] == "m" and (near == ["h"] or after == ["s"])
        shown.append(_date_part(moment, letter, is_minute=is_minute, has_half=has_half) or _literal(match))
    return "".join(shown).strip()


def _elapsed(value: float, tokens: list[re.Match[str]]) -> str:
    """Return a span of days as hours, minutes and seconds, the largest of them as many as there are."""
    if value < 0:
        # A spreadsheet shows none, but marks that fill the cell.
        return plain_number(value)
    marks = [match[0].casefold() for match in tokens]
    digits = marks[marks.index(".") :].count("0") if "." in marks else 0
    seconds, fraction = divmod(round(value * 86_400 * 10**digits), 10**digits)
    digits_left = iter(f"{fraction:0{digits}}" if digits else "")
    shown = []
    for match, mark in zip(tokens, marks, strict=True):
        if unit := _ELAPSED.fullmatch(mark):
            shown.append(f"{seconds // _SECONDS[unit[1][0]]:0{len(unit[1])}}")
        elif mark[0] in _SECONDS:
            part = seconds // _SECONDS[mark[0]] % (24 if mark[0] == "h" else 60)
            shown.append(f"{part:0{len(mark)}}")
        else:
            shown.append(next(digits_left, "0") if mark == "0" else _literal(match))
    return "".join(shown).strip()


def _date_part(moment: dt.datetime, letter: str, *, is_minute: bool, has_half: bool) -> str:
    hour = (moment.hour % 12 or 12) if has_half else moment.hour
    values = {
        "y": moment.year % 100 if len(letter) <= 2 else moment.year,
        "m": moment.minute if is_minute else moment.month,
        "d": moment.day,
        "h": hour,
        "s": moment.second,
    }
    if letter in ("am/pm", "a/p"):
        return ("AM" if moment.hour < 12 else "PM")[: len(letter) // 2]
    value = values.get(letter[:1])
    if value is None:
        return ""
    return f"{value:02}" if letter[:1] == "y" else f"{value:0{len(letter)}}"


def _as_iso(moment: dt.datetime, letters: list[str]) -> str:
    has_time = any(each[:1] in ("h", "s") for each in letters if each)
    return moment.isoformat(" ", "seconds") if has_time else moment.date().isoformat()


def _literal(match: re.Match[str]) -> str:
    return next((part for part in match.groups()[:4] if part is not None), "")


def _number(value: float, section: str) -> str:
    tokens = [match for match in _TOKEN.finditer(section) if not match[0].startswith(("_", "*"))]
    marks = "".join((match[4] or " ")[:1] for match in tokens)
    if (
        "/" in marks
        or "E" in marks.upper()
        or "general" in section.casefold()
        or not re.search("[0#?]", marks)
    ):
        return plain_number(value)
    percent = marks.count("%")
    whole, _, fraction = marks.partition(".")
    digits = sum(each in "0#?" for each in fraction)
    groups = bool(re.search(r"[0#?],[0#?]", whole))
    scale = len(re.search(r",*$", whole.rstrip(" ")).group()) if whole else 0  # type: ignore[union-attr]
    # Behind the fraction, too, each comma stands for a thousand.
    scale += len(found[1]) if (found := re.search(r"[0#?](,+)[^0#?,]*$", fraction)) else 0
    exact = abs(Decimal(format(value, f".{_DIGITS}g"))) * Decimal(100) ** percent / Decimal(1000) ** scale
    exact = exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
    before, _, after = format(exact, "f").partition(".")
    shown = _filled(tokens, before, after, groups=groups).strip()
    return f"-{shown}" if value < 0 and exact else shown


def _filled(tokens: list[re.Match[str]], before: str, after: str, *, groups: bool) -> str:
    """Return a format with digits in their places, those before the point from its right end on."""
    marks = [(match[4] or "") for match in tokens]
    point = marks.index(".") if "." in marks else len(marks)
    left = list("" if before == "0" else before)
    parts: list[str] = []
    places = [place for place in range(point) if marks[place] in ("0", "#", "?")]
    count = 0
    for place in range(point - 1, -1, -1):
        mark = marks[place]
        if mark in ("0", "#", "?"):
            taken = left.pop() if left else {"0": "0", "?": " ", "#": ""}[mark]
            if place == places[0] and left:
                taken = "".join(left) + taken
                left.clear()
            for digit in reversed(taken):
                parts.append(f"{digit}," if groups and count and count % 3 == 0 else digit)
                count += 1
        elif mark != ",":
            parts.append(_literal(tokens[place]))
    digits = iter(after)
    shown = []
    for place in range(point, len(marks)):
        mark = marks[place]
        if mark in ("0", "#", "?"):
            shown.append(next(digits, ""))
        elif mark != ",":
            shown.append(_literal(tokens[place]))
    text = "".join(shown)
    if "#" in marks[point:] and after:
        text = re.sub(r"(\.\d*?)0+(?=\D|$)", r"\1", text)
    return "".join(reversed(parts)) + text
