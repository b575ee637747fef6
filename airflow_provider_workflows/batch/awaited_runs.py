"""Which runs a batch waits for, in a form that is small enough for Airflow's database."""

from __future__ import annotations

import base64
import binascii
import bisect
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

FORMAT = 1
#: With 5 bytes for each, 100,000 runs take 667 kB, and one foreign run in eleven million is taken for one of them.
#: The batch then passes over it.
FINGERPRINT_BYTES = 5


@dataclass(frozen=True, slots=True)
class AwaitedRuns:
    """The runs that a batch waits for, of each a short hash of its id, so that a webhook finds its batch.

    :param fingerprints: the hashes, ``FINGERPRINT_BYTES`` each, in order
    """

    fingerprints: bytes

    @classmethod
    def of(cls, workflow_ids: Iterable[str]) -> AwaitedRuns:
        """Return the runs with these ids, in any case."""
        return cls(b"".join(sorted(map(_fingerprint, workflow_ids))))

    @classmethod
    def from_json(cls, fields: object) -> AwaitedRuns | None:
        """Return what ``to_json`` described, or None if it is anything else."""
        if not isinstance(fields, Mapping) or fields.get("format") != FORMAT:
            return None
        try:
            return cls(base64.b64decode(fields["fingerprints"], validate=True))
        except (KeyError, TypeError, binascii.Error):
            return None

    def to_json(self) -> dict[str, Any]:
        """Return the runs as JSON, for an XCom."""
        return {"format": FORMAT, "fingerprints": base64.b64encode(self.fingerprints).decode()}

    def __len__(self) -> int:
        return len(self.fingerprints) // FINGERPRINT_BYTES

    def __contains__(self, workflow_id: str) -> bool:
        wanted = _fingerprint(workflow_id)
        place = bisect.bisect_left(range(len(self)), wanted, key=self._at)
        return place < len(self) and self._at(place) == wanted

    def _at(self, place: int) -> bytes:
        return self.fingerprints[place * FINGERPRINT_BYTES : (place + 1) * FINGERPRINT_BYTES]


def _fingerprint(workflow_id: str) -> bytes:
    return hashlib.blake2b(workflow_id.lower().encode(), digest_size=FINGERPRINT_BYTES).digest()
