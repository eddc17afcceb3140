"""Is it them or us? Hosts after hosts that cannot be connected to mean that our own network is away."""

from __future__ import annotations

from collections.abc import Iterable

HOSTS_NEEDED = 5


class OutageDetector:
    """Judges from outcomes per host whether our own network is away.

    It is, once :data:`HOSTS_NEEDED` hosts in a row that had answered at their last poll could not be connected to,
    and none answered in between; it is back with the first answer from any host. No clock takes part: what counts is
    that nobody answered, not how long the polls are apart. `healthy` are hosts that answered in an earlier run.
    """

    def __init__(self, healthy: Iterable[str] = ()) -> None:
        self.offline = False
        self._healthy = set(healthy)
        self._silent = 0

    def answered(self, host: str) -> bool:
        """`host` answered, with whatever status. Returns whether that ended an outage."""
        ended, self.offline = self.offline, False
        self._silent = 0
        self._healthy.add(host)
        return ended

    def failed_to_connect(self, host: str) -> bool:
        """`host` could not be resolved or connected to. Returns whether that began an outage."""
        if self.offline or host not in self._healthy:
            return False
        # It counts once: a host that stays dead is no evidence against our network.
        self._healthy.discard(host)
        self._silent += 1
        self.offline = self._silent >= HOSTS_NEEDED
        return self.offline
