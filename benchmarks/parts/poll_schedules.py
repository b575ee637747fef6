"""How late the end of a run is noticed and how often it is polled for that: calculated, not waited for."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_workflows.api.polling import PollSchedule
from airflow_provider_workflows.triggers.poll_queue import DUE_TIME_STEP_SECONDS

#: Seconds between two polls by default: ``DbtCloudRunJobOperator``'s and ``DatabricksRunNowOperator``'s.
DBT_SECONDS = 60.0
DATABRICKS_SECONDS = 30.0

_SAMPLES = 500


@dataclass(frozen=True)
class Rule:
    """When somebody polls next.

    :param interval: seconds until the next poll, from a run's age at this one and a random number from 0 to 1
    :param together: the clock's steps, in seconds, to which the next poll is put off; 0 for none
    """

    interval: Callable[[float, float], float]
    together: float = 0.0


OURS = Rule(lambda age, chance: PollSchedule().interval(age, math.inf, chance), DUE_TIME_STEP_SECONDS)
DBT = Rule(lambda _age, _chance: DBT_SECONDS)
DATABRICKS = Rule(lambda _age, _chance: DATABRICKS_SECONDS)


@dataclass(frozen=True)
class Noticed:
    """What runs of about one length cost, and how late their ends are noticed.

    :param polls: for a run, on average
    :param late: seconds on average
    :param latest: seconds, the worst of all
    :param part: the worst of all, as a part of the run's length
    """

    polls: float
    late: float
    latest: float
    part: float


def noticed(rule: Rule, shortest: float, longest: float) -> Noticed:
    """Return how the ends of runs are noticed whose lengths lie anywhere from ``shortest`` to ``longest``."""
    draw = random.Random(3)  # noqa: S311
    polls, late, parts = [], [], []
    for _ in range(_SAMPLES):
        length = draw.uniform(shortest, longest)
        begin = draw.uniform(0.0, rule.together)
        age, count = 0.0, 1
        while age < length:
            age += rule.interval(age, draw.random())
            if rule.together:
                age = math.ceil((begin + age) / rule.together) * rule.together - begin
            count += 1
        polls.append(count)
        late.append(age - length)
        parts.append((age - length) / length)
    return Noticed(statistics.mean(polls), statistics.mean(late), max(late), max(parts))
