"""PURE: what follows when a host wants to be left alone: a pause, then a trickle, then all is as before.

After NetNewsWire (its pull request 5355): who goes on at full speed as soon as a pause is over is refused again.
`now` is any clock in seconds that only goes forward.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from digestd.store.claims import LONGEST_PAUSE_SECONDS

FIRST_PAUSE_SECONDS = 60.0
"""How long a host that does not say how long is left alone."""
TRICKLE_SPACING_SECONDS = 30.0
"""How far apart starts are in a trickle, unless they are further apart anyway."""
FINE_ANSWERS_NEEDED = 3
CALM_SECONDS = 3_600.0
"""A trickle ends so long after its pause, whoever asked meanwhile: a host with one source in a day must not be
remembered for days."""


@dataclass(frozen=True, slots=True)
class Throttling:
    """A host that wanted to be left alone: until when, how long that was, and how often it has answered since."""

    paused_until: float
    pause_seconds: float
    fine_answers: int = 0

    def is_over(self, now: float) -> bool:
        """Whether it has been forgotten by `now`."""
        return now >= self.paused_until + CALM_SECONDS

    def trickles(self, now: float) -> bool:
        """Whether at `now` one poll at a time may start, and those far apart: the pause is over and it is not."""
        return self.paused_until <= now < self.paused_until + CALM_SECONDS


def refused(before: Throttling | None, retry_after: float | None, now: float) -> Throttling:
    """What holds after a refusal that asked for `retry_after` seconds, None where it did not say.

    Who is refused again in a trickle waits at least twice as long as before (a minute at least), unless the host named
    a time of its own and had answered since the last one: then that is taken at its word. No pause is longer than a
    day, and none that is in force is shortened.
    """
    asked = FIRST_PAUSE_SECONDS if retry_after is None else retry_after
    if before is not None and now < before.paused_until:
        # It was under way when the pause began, and tells nothing about how long that has to be.
        return heard(before, asked, now)
    if before is not None and not before.is_over(now) and (retry_after is None or not before.fine_answers):
        asked = max(asked, 2 * before.pause_seconds, FIRST_PAUSE_SECONDS)
    seconds = min(asked, LONGEST_PAUSE_SECONDS)
    return Throttling(now + seconds, seconds)


def heard(before: Throttling | None, seconds: float, now: float) -> Throttling:
    """What holds where the host is known to be paused for `seconds` more, at most a day; a longer pause stays."""
    seconds = min(seconds, LONGEST_PAUSE_SECONDS)
    if before is None or before.is_over(now):
        return Throttling(now + seconds, seconds)
    return Throttling(max(before.paused_until, now + seconds), max(before.pause_seconds, seconds))


def answered(before: Throttling, status: int, now: float) -> Throttling | None:
    """What holds after an answer with `status` that was no refusal; None once all is as before.

    Fine are those below 400, and 404 and 410, which speak of one document and not of who asks. Any other begins the
    count anew.
    """
    if now < before.paused_until:
        # The answer to a question from before the pause.
        return before
    fine = before.fine_answers + 1 if status < 400 or status in (404, 410) else 0
    if fine >= FINE_ANSWERS_NEEDED or before.is_over(now):
        return None
    return replace(before, fine_answers=fine)
