"""The way to the network of each source: everybody's, or one with the credentials and the proxy of its options."""

from __future__ import annotations

import trio

from digestd.config import Secrets
from digestd.config.access import Access
from digestd.ingest.http import HttpClient
from digestd.kinds import Http
from digestd.model import SourceSpec

# Files are read at each poll; where they lie on a share that hangs, only such sources wait.
_READERS = 4


class Doors:
    """Opens `http` for one source after the other, each with what `secrets` has for it."""

    def __init__(self, http: Http, secrets: Secrets) -> None:
        self._http = http
        self._secrets = secrets
        self._threads = trio.CapacityLimiter(_READERS)

    def adopt(self, secrets: Secrets) -> None:
        """Look secrets up in `secrets` from the next poll on."""
        self._secrets = secrets

    async def open(self, spec: SourceSpec) -> tuple[Http, Access]:
        """What the source of `spec` is asked with, and what of it must not be shown.

        Error handling: :class:`~digestd.errors.ConfigurationError` when a secret cannot be had;
        :class:`~digestd.errors.BadURL` where secrets would go to what is no URL.
        Cancellation: at once; a thread that reads a file may end later.
        """
        if not self._secrets.wanted_by(spec):
            return self._http, self._secrets.access_of(spec)
        access = await trio.to_thread.run_sync(
            self._secrets.access_of, spec, abandon_on_cancel=True, limiter=self._threads
        )
        assert isinstance(self._http, HttpClient)
        return self._http.with_access(access, spec.url), access
