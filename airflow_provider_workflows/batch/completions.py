"""When the runs of a batch have ended, and how long they took, in little memory whatever their number."""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Any

#: A plot has this many points at most; then two become one.
MAX_BUCKETS = 120
#: Seconds that a point stands for at first.
FIRST_STEP_SECONDS = 1.0
#: The bounds in seconds between which durations are counted for a page.
DURATION_BOUNDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
#: Each narrow bucket, by which the median is told, ends this much above its start: it is 2.5 % off at most.
_GROWTH = 1.05
_SHORTEST_SECONDS = 0.01


class Completions:
    """Counts ends over time, by groups.

    :param start: from when on, in seconds since the epoch
    """

    def __init__(self, start: float) -> None:
        self.start = start
        self.step = FIRST_STEP_SECONDS
        self._counts: dict[Hashable, list[int]] = {}
        # A report is made in a thread, while the event loop counts.
        self._lock = threading.Lock()

    def add(self, group: Hashable, at: float) -> None:
        """Count an end.

        :param group: what is counted by itself
        :param at: when it was, in seconds since the epoch
        """
        with self._lock:
            while (bucket := int(max(0.0, at - self.start) // self.step)) >= MAX_BUCKETS:
                self._double_step()
            counts = self._counts.setdefault(group, [])
            counts.extend([0] * (bucket + 1 - len(counts)))
            counts[bucket] += 1

    def _double_step(self) -> None:
        self.step *= 2
        for group, counts in self._counts.items():
            padded = [*counts, 0] if len(counts) % 2 else counts
            self._counts[group] = [
                first + second for first, second in zip(padded[::2], padded[1::2], strict=True)
            ]

    def to_json(self, names: Mapping[Hashable, str]) -> dict[str, Any]:
        """Return the counts for a plot: ``start``, ``step``, and a list of counts for each name.

        :param names: ``"succeeded"`` or ``"failed"`` for each group that is shown
        """
        with self._lock:
            step = self.step
            shown = [(name, self._counts[group][:]) for group, name in names.items() if group in self._counts]
        length = max((len(counts) for _, counts in shown), default=0)
        summed = {"succeeded": [0] * length, "failed": [0] * length}
        for name, counts in shown:
            for bucket, number in enumerate(counts):
                summed[name][bucket] += number
        return {"start": self.start, "step": step, **summed}


class Durations:
    """Counts how long runs took."""

    def __init__(self) -> None:
        self._narrow: Counter[int] = Counter()
        self._counts = [0] * (len(DURATION_BOUNDS) + 1)

    def add(self, seconds: float) -> None:
        """Count a run.

        :param seconds: how long it took
        """
        seconds = max(seconds, _SHORTEST_SECONDS)
        self._narrow[math.floor(math.log(seconds, _GROWTH))] += 1
        self._counts[bisect_left(DURATION_BOUNDS, seconds)] += 1

    def to_json(self) -> dict[str, Any]:
        """Return the counts: ``bounds`` in seconds, ``counts``, of which there is one more, ``median``, ``p95``."""
        return {
            "bounds": list(DURATION_BOUNDS),
            "counts": list(self._counts),
            "median": self._quantile(0.5),
            "p95": self._quantile(0.95),
        }

    def _quantile(self, share: float) -> float | None:
        left = share * sum(self._narrow.values())
        for bucket, number in sorted(self._narrow.items()):
            left -= number
            if left <= 0:
                return round(float(_GROWTH ** (bucket + 0.5)), 3)
        return None
