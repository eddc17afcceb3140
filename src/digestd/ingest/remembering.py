"""A door to the network that asks no question twice: for who tries what one URL may be, one way after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from digestd.config import Secrets
from digestd.config.access import Access
from digestd.errors import FetchError
from digestd.ingest.doors import Doors
from digestd.kinds import Http
from digestd.model import Response, SourceSpec

MOST_BYTES = 64 * 1024 * 1024
"""Bodies that are remembered, all together."""

# Credentials, URL, and the kinds of document that were asked for: servers may answer each with another one.
_Question: TypeAlias = tuple[str, str, str]


class Memory:
    """What was answered, by question; the bodies of at most :data:`MOST_BYTES`."""

    def __init__(self) -> None:
        self._answers: dict[_Question, Response | FetchError] = {}
        self._bytes = 0

    def find(self, question: _Question) -> Response | FetchError | None:
        """The answer to `question`, None where it was not asked or is too large to be remembered."""
        return self._answers.get(question)

    def keep(self, question: _Question, answer: Response | FetchError) -> None:
        """Remember `answer`, for as long as there is room."""
        size = len(answer.body) if isinstance(answer, Response) else 0
        if self._bytes + size <= MOST_BYTES:
            self._bytes += size
            self._answers[question] = answer

    def document(self, url: str) -> Response | None:
        """The document that was served last when `url` was asked for; None for none."""
        served = [
            one for (_, asked, _), one in self._answers.items() if asked == url and isinstance(one, Response)
        ]
        return served[-1] if served else None


class RememberingHttp:
    """`http`, whose answers `memory` keeps. An implementation of :class:`digestd.kinds.Http`."""

    def __init__(self, http: Http, memory: Memory) -> None:
        self._http = http
        self._memory = memory

    @property
    def mark(self) -> str:
        """See :attr:`digestd.kinds.Http.mark`."""
        return self._http.mark

    @property
    def authorization_mark(self) -> str:
        """See :attr:`digestd.kinds.Http.authorization_mark`."""
        return self._http.authorization_mark

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
    ) -> Response:
        """See :meth:`digestd.kinds.Http.get`. Only questions for a whole document, whatever it is and whatever was
        there before, are answered from memory."""
        fields = {name.lower(): value for name, value in (headers or {}).items()}
        if only is not None or cut_at is not None or fields.keys() - {"accept"}:
            return await self._http.get(url, headers=headers, only=only, cut_at=cut_at)
        question = (self.mark, url, fields.get("accept", ""))
        answer = self._memory.find(question)
        if answer is None:
            try:
                answer = await self._http.get(url, headers=headers)
            except FetchError as error:
                answer = error
            self._memory.keep(question, answer)
        if isinstance(answer, FetchError):
            raise answer
        return answer

    async def ask(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Response:
        """See :meth:`digestd.kinds.Http.ask`: what an API says is not remembered."""
        return await self._http.ask(url, headers=headers, form=form)

    def leave_alone(self, url: str, seconds: float) -> None:
        """See :meth:`digestd.kinds.Http.leave_alone`."""
        self._http.leave_alone(url, seconds)

    def secret(self, option: str) -> str | None:
        """See :meth:`digestd.kinds.Http.secret`."""
        return self._http.secret(option)


class RememberingDoors(Doors):
    """Doors that share one `memory`."""

    def __init__(self, http: Http, secrets: Secrets, memory: Memory) -> None:
        super().__init__(http, secrets)
        self._memory = memory

    async def open(self, spec: SourceSpec) -> tuple[Http, Access]:
        """See :meth:`digestd.ingest.doors.Doors.open`."""
        http, access = await super().open(spec)
        return RememberingHttp(http, self._memory), access
