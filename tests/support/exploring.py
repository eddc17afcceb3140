"""Trials and discoveries over a site in memory, read in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from digestd.config import Secrets, WorkerSettings
from digestd.config.access import Access
from digestd.ingest.discovery import Discovery, Explorer, Make
from digestd.ingest.doors import Doors
from digestd.ingest.politeness import Hosts
from digestd.ingest.remembering import Memory, RememberingHttp
from digestd.ingest.robots import Robots
from digestd.ingest.trial import STEPS, Trials
from digestd.kinds import Http, Kind, Lazily, Tools, registered
from digestd.model import Source, SourceSpec
from support.kind_runs import Site, parse_here, read_here

AGENT = "digestd"


class SiteDoors(Doors):
    """Lead to `site`, whoever asks."""

    def __init__(self, site: Site, memory: Memory) -> None:
        super().__init__(site, Secrets({}, {}))
        self._site = site
        self._memory = memory

    async def open(self, spec: SourceSpec) -> tuple[Http, Access]:
        return RememberingHttp(self._site, self._memory), Access()


@dataclass
class Ground:
    """`site`, and what explores it with `kinds` beside those that are installed. To be made within a Trio run."""

    site: Site
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    steps: int = STEPS
    delay_seconds: float = 0.0
    secret: bool = False

    def __post_init__(self) -> None:
        self.memory = Memory()
        self.hosts = Hosts(2, self.delay_seconds)
        lazily = Lazily(Tools(parse_here, read=read_here))
        self.trials = Trials(
            SiteDoors(self.site, self.memory),
            self.hosts,
            {**lazily, **self.kinds},
            WorkerSettings(jitter_seconds=0),
            steps=self.steps,
        )

    async def explore(
        self, *candidates: Any, make: Make, options: Mapping[str, Any] | None = None
    ) -> Discovery:
        """What comes of trying `candidates`."""
        explorer = Explorer(
            self.trials,
            self.memory,
            read_here,
            Robots(RememberingHttp(self.site, self.memory)),
            self.hosts,
            agent=AGENT,
            make=make,
            kinds={*registered(), *self.kinds},
            options=(options or {}).keys(),
            is_secret=lambda spec: self.secret,
        )
        await explorer.explore(candidates)
        return explorer.found


def source(kind: str = "feed", url: str = "https://one.example/feed", **options: Any) -> Source:
    """A source that no store knows."""
    return Source(0, SourceSpec("one", kind, url, options=options), "cli")
