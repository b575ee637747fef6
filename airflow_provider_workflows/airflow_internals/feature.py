"""The guard that stands before each undocumented name of Airflow."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

#: What is raised where a name is not there at all, rather than there in another form.
MISSING = (ImportError, AttributeError, LookupError)


class FeatureChangedError(Exception):
    """Airflow has a name, but not in the form that this package uses."""


class Feature(Generic[T]):
    """Something that Airflow can do, but has no documented name for.

    :param names: the undocumented names, as the list in the documentation has them
    :param purpose: what this package does with them, to follow "cannot"
    :param without: what happens where they are missing, as a sentence without its full stop
    :param find: returns what the names stand for; raises whatever it likes if they are not as expected
    :param since: the first version of Airflow that has them, where this package runs on older ones too. An older
        one is known to lack them, which is no warning: ``versions.py`` says it once, and the documentation too
    """

    all: list[Feature[object]] = []  # noqa: RUF012  (filled as the modules of this package are imported)

    def __init__(
        self, names: str, *, purpose: str, without: str, find: Callable[[], T], since: str | None = None
    ) -> None:
        self.names = names
        self.purpose = purpose
        self.without = without
        self.find = find
        self.since = since
        self._lock = threading.Lock()
        self._found: T | None = None
        self._is_missing = False
        Feature.all.append(self)  # type: ignore[arg-type]

    def get(self) -> T | None:
        """Return what ``find`` returned, or None where it raised; that is logged, once per process."""
        if self._found is None and not self._is_missing:
            with self._lock:
                if self._found is None and not self._is_missing:
                    self._lookup()
        return self._found

    def is_available(self) -> bool:
        """Return whether Airflow has the names as this package uses them."""
        return self.get() is not None

    def forget(self) -> None:
        """Forget what was found, so that the next use checks for it, and may log, again."""
        self._found, self._is_missing = None, False

    def _lookup(self) -> None:
        try:
            self._found = self.find()
        except Exception as error:  # noqa: BLE001  (whatever it is, the name is not as expected)
            self._is_missing = True
            if self.since is not None and isinstance(error, MISSING):
                return
            log.warning(
                "airflow-provider-workflows cannot %s: this Airflow (%s) differs from those that it was tested "
                "with (%s: %s). %s. To restore it, install a newer airflow-provider-workflows, or an Airflow that "
                "it was tested with.",
                self.purpose,
                airflow_version(),
                type(error).__name__,
                error,
                self.without,
            )


def require_parameters(function: Callable[..., object], *names: str) -> None:
    """Raise unless a function takes arguments of these names.

    :raises FeatureChangedError: naming what is missing
    """
    missing = [name for name in names if name not in inspect.signature(function).parameters]
    if missing:
        name = getattr(function, "__qualname__", repr(function))
        raise FeatureChangedError(f"{name} takes no {', '.join(missing)}")


def require_attributes(subject: object, *names: str) -> None:
    """Raise unless an object has attributes of these names.

    :raises FeatureChangedError: naming what is missing
    """
    missing = [name for name in names if not hasattr(subject, name)]
    if missing:
        name = getattr(subject, "__qualname__", None) or getattr(subject, "__name__", repr(subject))
        raise FeatureChangedError(f"{name} has no {', '.join(missing)}")


def airflow_version() -> str:
    """Return the version of Airflow that is installed, for messages."""
    try:
        return version("apache-airflow")
    except PackageNotFoundError:
        return "version unknown"
