"""Which documents take a parser long, so that they do not stand in the way of all others."""

from __future__ import annotations

HEAVY_BYTES = 2 * 1024 * 1024
"""A document of this size may take long: it counts as heavy before anybody has read it."""
HEAVY_SECONDS = 1.0
"""A document that takes so much processor time is heavy, whatever its size."""
LIGHT_SECONDS = 0.2
"""One that takes less is not."""
HONEST_BYTES_PER_SECOND = 256 * 1024
"""In between it is one that takes longer than its size explains: real feeds are read some ten times as fast as this."""
PROBATION_DOCUMENTS = 5
"""How many light documents in a row make a heavy source light again."""


class HeavySources:
    """The URLs of sources that gave heavy documents lately.

    Of sources, and not of what they redirect to, which can be another URL each time.
    """

    MOST = 10_000

    def __init__(self) -> None:
        self._documents_to_prove: dict[str, int] = {}

    def expects(self, source_url: str, size: int) -> bool:
        """Whether the next document of `source_url`, of `size` bytes, is likely to take long."""
        return size > HEAVY_BYTES or source_url in self._documents_to_prove

    def note(self, source_url: str, *, heavy: bool) -> None:
        """Remember how it went with a document of `source_url`."""
        left = self._documents_to_prove.pop(source_url, 0)
        left = PROBATION_DOCUMENTS if heavy else left - 1
        if left > 0:
            self._documents_to_prove[source_url] = left
        if len(self._documents_to_prove) > self.MOST:
            del self._documents_to_prove[next(iter(self._documents_to_prove))]


def light_seconds(size: int) -> float:
    """The processor time that explains itself by the `size` of a document in bytes."""
    return min(HEAVY_SECONDS, max(LIGHT_SECONDS, size / HONEST_BYTES_PER_SECOND))


def is_heavy(cpu_seconds: float, size: int) -> bool:
    """Whether a document of `size` bytes that took so much processor time is heavy."""
    return cpu_seconds > light_seconds(size)
