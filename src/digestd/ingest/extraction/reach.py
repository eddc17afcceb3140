"""Which hosts can be reached just now: those that cannot are left alone, and so are all when nobody can."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

FIRST_BACKOFF_SECONDS = 300.0
LONGEST_BACKOFF_SECONDS = 7_200.0
SILENT_HOSTS = 5
"""So many hosts in a row that cannot be reached, and none that can, are no coincidence."""
PROBE_SECONDS = 30.0
"""How often one page is asked for while nobody can be reached."""
_MOST_REMEMBERED = 10_000


@dataclass(slots=True)
class _Silence:
    times: int
    until: float


class Reach:
    """Remembers who did not answer. `now` is any clock in seconds that only goes forward.

    A host that cannot be reached is asked again after five minutes, doubled each time, up to two hours: its pages keep
    their attempts. When :data:`SILENT_HOSTS` hosts in a row cannot be, `offline` is true until one can: then it is our
    own network, and one page every :data:`PROBE_SECONDS` finds out when it is back.
    """

    def __init__(self) -> None:
        self.offline = False
        self._silent: OrderedDict[str, _Silence] = OrderedDict()
        self._in_a_row: set[str] = set()
        self._next_probe = 0.0

    def probe_in(self, now: float) -> float:
        """While nobody can be reached: in how many seconds one page may be asked for; 0 means now, and is taken as
        done. Always 0 otherwise."""
        if not self.offline:
            return 0.0
        if now < self._next_probe:
            return self._next_probe - now
        self._next_probe = now + PROBE_SECONDS
        return 0.0

    def wait(self, host: str, now: float) -> float:
        """For how many seconds no page of `host` is to be asked for: 0 for a probe."""
        silence = None if self.offline else self._silent.get(host)
        return max(silence.until - now, 0.0) if silence is not None else 0.0

    def answered(self, host: str) -> bool:
        """`host` answered, with whatever status. Returns whether that ended an outage of ours."""
        ended, self.offline = self.offline, False
        if ended:
            # What was silent meanwhile was so because of us.
            self._silent.clear()
        self._silent.pop(host, None)
        self._in_a_row.clear()
        return ended

    def unreachable(self, host: str, now: float) -> bool:
        """`host` could not be resolved or connected to. Returns whether that is the begin of an outage of ours."""
        times = self._silent[host].times + 1 if host in self._silent else 1
        seconds = min(FIRST_BACKOFF_SECONDS * 2.0 ** min(times - 1, 16), LONGEST_BACKOFF_SECONDS)
        self._silent[host] = _Silence(times, now + seconds)
        self._silent.move_to_end(host)
        if len(self._silent) > _MOST_REMEMBERED:
            self._silent.popitem(last=False)
        self._in_a_row.add(host)
        if self.offline or len(self._in_a_row) < SILENT_HOSTS:
            return False
        self.offline = True
        self._next_probe = now + PROBE_SECONDS
        return True
