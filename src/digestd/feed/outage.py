"""Is it them or us? Hosts after hosts that cannot be connected to mean that our own network is away."""

from __future__ import annotations

from collections.abc import Iterable

HOSTS_NEEDED = 5
WINDOW_SECONDS = 60.0


class OutageDetector:
    """Judges from outcomes per host whether our own network is away.

    Only hosts count that answered at their last poll. The network is away once :data:`HOSTS_NEEDED` of them in a row
    could not be connected to, with no answer from any host in between, however long that took; or once, of at least so
    many that were polled within a minute, half could not. It is back with the first answer from any host; half of the
    hosts are no evidence then for another minute. `healthy` are hosts that answered in an earlier run. `now` is seconds
    of a clock that never goes back.
    """

    def __init__(self, healthy: Iterable[str] = ()) -> None:
        self.offline = False
        self._healthy = set(healthy)
        self._silent: set[str] = set()
        self._recent = _Recent()
        self._first: frozenset[str] = frozenset()

    def answered(self, host: str, now: float) -> bool:
        """`host` answered, with whatever status. Returns whether that ended an outage."""
        ended, self.offline = self.offline, False
        self._silent.clear()
        if ended:
            self._recent.begin_at(now + WINDOW_SECONDS)
        if host in self._healthy:
            self._recent.note(host, now, failed=False)
        self._healthy.add(host)
        return ended

    def failed_to_connect(self, host: str, now: float) -> bool:
        """`host` could not be resolved or connected to. Returns whether that began an outage."""
        if self.offline or host not in self._healthy:
            return False
        # It counts once: a host that stays dead is no evidence against our network.
        self._healthy.discard(host)
        self._silent.add(host)
        self._recent.note(host, now, failed=True)
        self.offline = len(self._silent) >= HOSTS_NEEDED or self._recent.half_failed(now)
        if self.offline:
            self._first = frozenset(self._silent | self._recent.failed_hosts())
        return self.offline

    def showed(self, host: str) -> bool:
        """Whether `host` was among those that showed the last outage: its failure was counted, as nobody could know
        better yet."""
        return host in self._first

    def excuses(self, host: str) -> bool:
        """Whether the network is away, and `host` was among those that showed it."""
        return self.offline and self.showed(host)


class _Recent:
    """The last outcome of each host within the last minute, oldest first."""

    def __init__(self) -> None:
        self._outcomes: dict[str, tuple[float, bool]] = {}
        self._failed = 0
        self._begins_at = 0.0

    def begin_at(self, moment: float) -> None:
        """Forget everything, and take notes from `moment` on."""
        self._outcomes.clear()
        self._failed = 0
        self._begins_at = moment

    def note(self, host: str, now: float, *, failed: bool) -> None:
        if now < self._begins_at:
            return
        if host in self._outcomes:
            self._drop(host)
        self._outcomes[host] = (now, failed)
        self._failed += failed
        self._expire(now)

    def half_failed(self, now: float) -> bool:
        self._expire(now)
        return len(self._outcomes) >= HOSTS_NEEDED and 2 * self._failed >= len(self._outcomes)

    def failed_hosts(self) -> set[str]:
        return {host for host, (_, failed) in self._outcomes.items() if failed}

    def _expire(self, now: float) -> None:
        while self._outcomes:
            host = next(iter(self._outcomes))
            if self._outcomes[host][0] > now - WINDOW_SECONDS:
                return
            self._drop(host)

    def _drop(self, host: str) -> None:
        _, failed = self._outcomes.pop(host)
        self._failed -= failed
