"""How the API's generations differ, as data: what a request says of its version, and how a run is started.

Which of them has a call stands with the call, in ``api/endpoints.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from airflow_provider_workflows.api.errors import InvalidInput

DEFAULT_GENERATION = 1


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of the API.

    :param accept: the ``Accept`` header of requests for JSON, where the endpoint has versions
    :param run_path: the path that starts a run
    :param run_arguments: what a run may be started with besides its definition, by its names in Python
    :param required: what it must be started with
    :param link_arguments: what a task may be told to do with the link of a run's end user, where runs have one
    :param has_versions: whether the service says of a run which revision of its definition it is of, and which
        version executes it
    """

    accept: str
    run_path: str
    run_arguments: frozenset[str]
    required: frozenset[str] = frozenset()
    link_arguments: frozenset[str] = frozenset()
    has_versions: bool = False

    @property
    def arguments(self) -> frozenset[str]:
        """What a task that starts a run may be given besides the definition."""
        return self.run_arguments | self.link_arguments


GENERATIONS: Mapping[int, Generation] = {
    1: Generation(
        "application/json;version=1",
        "/workflows/run",
        frozenset({"case_id", "parameters_id"}),
        required=frozenset({"case_id"}),
    ),
    2: Generation(
        "application/json;version=2",
        "/workflows/run",
        frozenset({"case_id", "record_id", "parameters_id"}),
    ),
    # Its path alone chooses it.
    3: Generation(
        "application/json",
        "/workflows",
        frozenset({"record_id", "parameters", "locale", "expires_at"}),
        link_arguments=frozenset({"push_link", "on_link_callback"}),
        has_versions=True,
    ),
}
"""The generations by their numbers, as a connection's ``api_generation`` names them."""


def in_words(numbers: Iterable[int]) -> str:
    """Return numbers of generations as messages name them: ``2 or 3``."""
    return " or ".join(map(str, sorted(numbers)))


def require_arguments(given: frozenset[str], generation: int) -> None:
    """Return if a run of a generation may be started with these arguments.

    :param given: names of what the run is started with
    :param generation: number of the generation
    :raises InvalidInput: naming an argument that the generation does not have or that it needs
    """
    chosen = GENERATIONS[generation]
    for name in sorted(given - chosen.arguments):
        having = [number for number, one in GENERATIONS.items() if name in one.arguments]
        raise InvalidInput(
            f"{name} needs api_generation {in_words(having)}; the connection has {generation}. Leave {name} out, "
            "or use a connection of such a generation"
        )
    for name in sorted(chosen.required - given):
        raise InvalidInput(f"{name} is missing: a run of api_generation {generation} needs it")


def require_some_generation(given: frozenset[str]) -> None:
    """Return if there is a generation whose runs may be started with these arguments.

    :param given: names of what the run is started with
    :raises InvalidInput: saying which generations each argument needs
    """
    if any(one.required <= given <= one.arguments for one in GENERATIONS.values()):
        return
    needs = ", ".join(
        f"{name} (api_generation {in_words([n for n, one in GENERATIONS.items() if name in one.arguments])})"
        for name in sorted(given)
    )
    raise InvalidInput(f"no generation of the API takes these arguments together: {needs}")
