"""What stands in for the way to the network of kinds that only get documents."""

from __future__ import annotations

from collections.abc import Mapping

from digestd.model import Response


class GetsOnly:
    """For kinds that ask no API and have no secrets; who inherits from it has `get`."""

    mark = ""
    authorization_mark = ""

    async def ask(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Response:
        raise AssertionError(f"nobody asks an API at {url} here")

    def leave_alone(self, url: str, seconds: float) -> None:
        raise AssertionError(f"nobody leaves {url} alone here")

    def secret(self, option: str) -> str | None:
        raise AssertionError(f"nobody has a secret {option} here")


class AsksOnly(GetsOnly):
    """For kinds that get no documents, and ask an API alone; who inherits from it has `ask`."""

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
    ) -> Response:
        raise AssertionError(f"nobody gets {url} here")
