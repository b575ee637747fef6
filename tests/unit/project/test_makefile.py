"""The list of what ``make`` can do is whole, and each entry does one thing."""

from __future__ import annotations

import re
from collections import Counter

from tests.unit.project.declared import CHECKOUT

MAKEFILE = (CHECKOUT / "Makefile").read_text()
#: Of two that exclude each other, the one that is listed.
UNCONDITIONAL = re.sub(r"(?ms)^ifdef .*?^else$", "", MAKEFILE)
TARGETS = Counter(re.findall(r"(?m)^([a-z][a-z-]*):", UNCONDITIONAL))
#: What other targets need, and nobody asks for.
INNER = {"environment", "tools"}


def test_no_target_is_defined_twice() -> None:
    assert [target for target, number in TARGETS.items() if number > 1] == []


def test_each_target_is_one_though_a_file_has_its_name() -> None:
    phony = MAKEFILE.split(".PHONY: ")[1].split("\n\n")[0].replace("\\\n", " ").split()

    assert sorted(phony) == sorted(TARGETS)


def test_each_target_that_somebody_may_ask_for_says_what_it_does() -> None:
    explained = set(re.findall(r"(?m)^([a-z][a-z-]*):.* ## \w", MAKEFILE))

    assert set(TARGETS) - INNER == explained
