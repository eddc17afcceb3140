"""A poll that keeps nothing tells what one that keeps would, and where it ends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio

from digestd.errors import HTTPStatus
from digestd.ingest.trial import LONGEST_WAIT_SECONDS, Trial
from digestd.kinds import Http
from digestd.model import Document, Failure, PollState, Source, Step
from support.exploring import Ground, source
from support.kind_runs import Site
from support.paged_site import atom

URL = "https://one.example/feed"


class Catalogue:
    """A kind of `pages` steps, of which each has one entry."""

    def __init__(self, pages: int = 1, spacing: float = 0.0) -> None:
        self.pages = pages
        self.spacing = spacing
        self.times: list[float] = []
        self.states: list[PollState] = []

    def spacing_seconds(self, source: Source) -> float:
        return self.spacing

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        self.times.append(trio.current_time())
        self.states.append(state)
        number = (state.cursor or {}).get("page", 0)
        entries = parse(atom([f"e{number}"])).entries
        more = number + 1 < self.pages
        return Step(
            PollState(cursor={"page": number + 1}),
            (Document(URL, "catalogue", title="All of it", entries=entries),),
            more=more,
            body_bytes=100,
        )


class Broken:
    """A kind with a bug."""

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        raise ZeroDivisionError("a bug")


def parse(body: bytes) -> Document:
    from digestd.feed.parse import parse_feed

    return parse_feed(body, URL, None)


async def tried(
    documents: dict[str, Any] | None = None, *, kind: str = "feed", first: bool = True, **ground: Any
) -> tuple[Trial, Ground]:
    place = Ground(Site(documents=documents or {}), **ground)
    return await place.trials.poll(source(kind, URL), first=first), place


async def test_what_would_be_kept_is_told(autojump_clock: trio.testing.MockClock) -> None:
    trial, place = await tried({URL: atom(["a", "b", "a"])})
    assert (trial.outcome, trial.failure, trial.succeeded) == ("fetched", None, True)
    # Exact repeats are one.
    assert [entry.guid for entry in trial.entries] == ["a", "b"]
    assert (trial.steps, trial.unfinished, trial.state) == (1, False, "active")
    assert trial.body_bytes == len(atom(["a", "b", "a"]))
    assert (trial.next_delay_seconds, trial.schedule_reason) == (300.0, "interval")
    assert trial.skip_pages is None
    assert "If-None-Match" not in place.site.sent[0]


async def test_a_failure_is_told_and_when_it_would_be_tried_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    trial, _ = await tried({URL: 500})
    assert (trial.outcome, trial.succeeded, trial.entries) == ("failed", False, ())
    assert trial.failure is not None
    assert (trial.failure.cause, trial.failure.status) == ("http_status", 500)
    assert trial.schedule_reason.startswith("interval")
    assert trial.words == f"http_status: {trial.failure.message}"


async def test_no_more_steps_are_taken_than_were_asked_for(autojump_clock: trio.testing.MockClock) -> None:
    kind = Catalogue(pages=50)
    trial, _ = await tried(kind="catalogue", kinds={"catalogue": kind}, steps=4)
    assert (trial.steps, len(trial.entries), trial.unfinished, trial.outcome) == (4, 4, True, "fetched")
    assert [(state.cursor or {}).get("page", 0) for state in kind.states] == [0, 1, 2, 3]
    assert trial.failure is None
    assert trial.words is None
    assert trial.body_bytes == 400
    # As few as there are.
    trial, _ = await tried(kind="catalogue", kinds={"catalogue": Catalogue(pages=2)}, steps=4)
    assert (trial.steps, trial.unfinished) == (2, False)


async def test_steps_are_as_far_apart_as_the_kind_wants(autojump_clock: trio.testing.MockClock) -> None:
    kind = Catalogue(pages=3, spacing=6.0)
    trial, place = await tried(kind="catalogue", kinds={"catalogue": kind})
    assert trial.steps == 3
    assert [round(time - kind.times[0]) for time in kind.times] == [0, 6, 12]
    # Its budget is nobody's any more.
    async with place.hosts.turn("https://one.example/other") as turn:
        assert turn.host_start().delay_seconds == 0.0


async def test_a_long_spacing_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    kind = Catalogue(pages=3, spacing=LONGEST_WAIT_SECONDS + 1)
    trial, _ = await tried(kind="catalogue", kinds={"catalogue": kind})
    assert (trial.steps, trial.unfinished, trial.succeeded) == (1, True, True)


async def test_a_paused_host_is_not_asked(autojump_clock: trio.testing.MockClock) -> None:
    place = Ground(Site(documents={URL: atom(["a"])}))
    place.hosts.pause(URL, 3_600)
    trial = await place.trials.poll(source(url=URL))
    assert trial.outcome is None
    assert trial.failure is not None
    assert trial.failure.cause == "paused"
    assert place.site.asked == []


async def test_older_pages_are_read_as_by_a_first_poll_alone(autojump_clock: trio.testing.MockClock) -> None:
    documents = {URL: atom(["c"], f"{URL}?page=2"), f"{URL}?page=2": atom(["b"], f"{URL}?page=3")}
    documents[f"{URL}?page=3"] = atom(["a"])
    trial, _ = await tried(documents)
    assert [entry.guid for entry in trial.entries] == ["c", "b", "a"]
    assert (trial.steps, trial.unfinished) == (3, False)
    trial, place = await tried(documents, first=False)
    assert [entry.guid for entry in trial.entries] == ["c"]
    assert place.site.asked == [URL]


async def test_a_bug_of_a_kind_is_told_and_ends_nothing(autojump_clock: trio.testing.MockClock) -> None:
    trial, _ = await tried(kind="broken", kinds={"broken": Broken()})
    reason = "a bug in digestd or in the kind 'broken': ZeroDivisionError: a bug; see the log"
    assert trial.failure == Failure("bug", reason)
    assert trial.outcome == "failed"


async def test_a_kind_that_cannot_be_loaded_is_told(autojump_clock: trio.testing.MockClock) -> None:
    trial, _ = await tried(kind="shelf")
    words = "the kind 'shelf' is not installed here, or cannot be loaded; see the log"
    assert (trial.outcome, trial.failure) == (None, Failure("settings", words))


async def test_where_redirects_lead_is_told(autojump_clock: trio.testing.MockClock) -> None:
    class Moved(Site):
        async def get(self, url: str, **more: Any) -> Any:
            return replace(await super().get(url, **more), moved_to="https://one.example/new")

    place = Ground(Moved(documents={"http://one.example/feed": atom(["a"])}))
    trial = await place.trials.poll(source(url="http://one.example/feed"))
    assert trial.effective_url is None
    place = Ground(Moved(documents={"http://one.example/new/": atom(["a"])}))
    trial = await place.trials.poll(source(url="http://one.example/new/"))
    assert trial.effective_url == "https://one.example/new"


async def test_files_stay_where_they_are(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "one.xml").write_bytes(atom(["a"]))
    options = {"path": str(inbox), "done": str(tmp_path / "done"), "settle_seconds": 0.0}
    place = Ground(Site())
    trial = await place.trials.poll(source("file", inbox.as_uri(), **options))
    assert [entry.guid for entry in trial.entries] == ["a"]
    assert (inbox / "one.xml").exists()
    assert not (tmp_path / "done").exists()
    # What is told of is the source, as it is.
    assert json.loads(json.dumps(trial.spec.options)) == options


async def test_a_question_is_asked_once(autojump_clock: trio.testing.MockClock) -> None:
    place = Ground(Site(documents={URL: atom(["a"])}))
    for _ in range(2):
        assert (await place.trials.poll(source(url=URL))).succeeded
    assert place.site.asked == [URL]
    # Failures, too.
    gone = f"{URL}/gone"
    for _ in range(2):
        assert not (await place.trials.poll(source(url=gone))).succeeded
    assert place.site.asked == [URL, gone]
    assert place.memory.document(gone) is None
    answer = place.memory.document(URL)
    assert answer is not None
    assert answer.body == atom(["a"])


@pytest.mark.parametrize("headers", [{"If-None-Match": '"x"'}, {"Range": "bytes=0-9"}])
async def test_a_question_with_conditions_is_not_answered_from_memory(headers: dict[str, str]) -> None:
    from digestd.ingest.remembering import Memory, RememberingHttp

    site = Site(documents={URL: b"a document"}, tagged=False)
    http = RememberingHttp(site, Memory())
    await http.get(URL)
    await http.get(URL, headers=headers)
    await http.get(URL, headers={"Accept": "text/html"})
    await http.get(URL, cut_at=3)
    await http.get(URL)
    assert len(site.asked) == 4


async def test_what_is_too_much_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    from digestd.ingest import remembering

    monkeypatch.setattr(remembering, "MOST_BYTES", 10)
    site = Site(documents={URL: b"a document of more", f"{URL}2": b"small"}, tagged=False)
    http = remembering.RememberingHttp(site, remembering.Memory())
    for _ in range(2):
        await http.get(URL)
        await http.get(f"{URL}2")
    assert site.asked == [URL, f"{URL}2", URL]


async def test_an_error_is_raised_as_it_was() -> None:
    from digestd.ingest.remembering import Memory, RememberingHttp

    http = RememberingHttp(Site(documents={URL: 410}), Memory())
    for _ in range(2):
        with pytest.raises(HTTPStatus) as caught:
            await http.get(URL)
        assert caught.value.status == 410
