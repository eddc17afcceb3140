"""Is it them or us? Many hosts failing at connecting within a minute mean that our own network is away."""

from __future__ import annotations

from collections import OrderedDict

WINDOW_SECONDS = 60.0
HOSTS_NEEDED = 5


class OutageDetector:
    """Judges from outcomes per host whether our own network is away.

    It is, once of at least :data:`HOSTS_NEEDED` hosts that had answered at their last poll and were asked again
    within :data:`WINDOW_SECONDS`, half or more could not be connected to; it is back with the first answer from
    any host. `now` is any clock that only goes forward, in seconds. Both calls cost constant time on average.
    """

    def __init__(self) -> None:
        self.offline = False
        self._healthy: set[str] = set()
        self._asked: OrderedDict[str, tuple[float, bool]] = OrderedDict()
        self._failing = 0

    def answered(self, host: str, now: float) -> bool:
        """`host` answered, with whatever status. Returns whether that ended an outage."""
        was_offline, self.offline = self.offline, False
        if was_offline:
            self._asked.clear()
            self._failing = 0
        self._healthy.add(host)
        self._note(host, now, good=True)
        return was_offline

    def failed_to_connect(self, host: str, now: float) -> bool:
        """`host` could not be resolved or connected to. Returns whether that began an outage."""
        if host in self._healthy:
            self._note(host, now, good=False)
        asked = len(self._asked)
        begins = not self.offline and asked >= HOSTS_NEEDED and 2 * self._failing >= asked
        self.offline = self.offline or begins
        return begins

    def _note(self, host: str, now: float, *, good: bool) -> None:
        self._drop(host)
        self._asked[host] = (now, good)
        self._failing += not good
        while now - self._oldest() > WINDOW_SECONDS:
            # Whoever did not come back within the window is dead by itself, and no evidence against our network.
            oldest, (_, was_good) = next(iter(self._asked.items()))
            self._drop(oldest)
            if not was_good:
                self._healthy.discard(oldest)

    def _oldest(self) -> float:
        return next(iter(self._asked.values()))[0]

    def _drop(self, host: str) -> None:
        if host in self._asked:
            self._failing -= not self._asked.pop(host)[1]
