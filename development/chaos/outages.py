"""What happens to the service and to storage."""

from __future__ import annotations

import time

from development.chaos.actor import Actor, NotNow
from development.chaos.system import BATCH, LONGEST_CALL_SECONDS

STORAGE_FAILS_SECONDS = 30.0
SERVICE_DOWN_SECONDS = 60.0
RUNS_FAIL_SECONDS = 10.0


class Outages(Actor):
    """Lets the service, its token or storage fail for a while."""

    def fail_runs(self) -> None:
        """Let all runs of the batch end in a failure status that are started within some seconds."""
        self.require_batch("running")
        service, definition_id = self.system.service, self.system.definitions[BATCH]
        service.define(definition_id, fails=True)
        self.occurrences.later(
            RUNS_FAIL_SECONDS, "Runs succeed again", lambda: void(service.define(definition_id))
        )

    def rotate_token(self) -> None:
        """Replace the organization token at the service, and a while later in the connection."""
        if not self.system.service.is_up:
            raise NotNow
        self.system.service.sandbox.rotate_organization_token()
        self.occurrences.later(
            self.chance.uniform(2.0, 6.0), "The new token is in the connection", self.system.store_token
        )

    def fail_storage(self, state: str) -> None:
        """Let storage fail for half a minute."""
        self.require_batch(state)
        if self.system.storage_flag.exists():
            raise NotNow
        self.system.storage_flag.touch()
        self.occurrences.later(STORAGE_FAILS_SECONDS, "Storage is back", self.system.storage_flag.unlink)

    def stop_service(self, state: str) -> None:
        """Let the service be down for a minute."""
        self.require_batch(state)
        service = self.system.service
        if not service.is_up:
            raise NotNow
        service.refuse()
        latest = time.monotonic() + LONGEST_CALL_SECONDS

        def stop() -> None:
            # A busy machine may take seconds for a response; one that is lost would leave its outcome unknown.
            under_way = self.system.subjects_under_way() - self.occurrences.under_way_at_kills
            if under_way and time.monotonic() < latest:
                self.occurrences.later(1.0, "", stop)
                return
            service.stop()
            self.occurrences.say("The service is down")

        self.occurrences.later(1.0, "", stop)

        def start() -> None:
            service.add_faults()
            service.start()

        self.occurrences.later(SERVICE_DOWN_SECONDS, "The service is up", start)


def void(_: object) -> None:
    """Return nothing."""
