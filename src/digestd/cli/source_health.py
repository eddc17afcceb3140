"""How sources do, with the pauses of their hosts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from digestd.config import Configuration
from digestd.feed.health import Health, health_of
from digestd.model import Source, SourceStatus


def with_health(
    statuses: Iterable[SourceStatus], pauses: Mapping[str, float], config: Configuration
) -> list[tuple[SourceStatus, Health]]:
    """`statuses`, each with how its source does while the hosts of `pauses` (`Store.paused_hosts`) are paused."""
    return [(status, health_of(status, _pause(status.source, pauses, config))) for status in statuses]


def _pause(source: Source, pauses: Mapping[str, float], config: Configuration) -> float | None:
    if not pauses:
        return None
    # Not with the module: the list of public suffixes takes 0.1 s, and mostly no host is paused.
    from digestd.ingest.network.host_keys import key_of

    return pauses.get(key_of(source.url, config.settings.fetch.hosts)[:_STORED_CHARACTERS])


_STORED_CHARACTERS = 300
