"""The kind `page`: asked for like a feed, read elsewhere, and told about in words."""

from __future__ import annotations

import pytest

from digestd.config import checked_source
from digestd.errors import ConfigurationError
from digestd.feed.shape import had_entries
from digestd.kinds import schema_of
from digestd.kinds.page import PageKind
from digestd.model import Failure, Source, SourceSpec
from support.kind_runs import Run, Site

URL = "https://lab.example/blog/"


def page(*slugs: str, head: str = "") -> bytes:
    each = "".join(f"<li><h3><a href='/blog/{slug}'>About {slug} in words</a></h3></li>" for slug in slugs)
    return f"<html><head><title>Lab</title>{head}</head><body><ul>{each}</ul></body></html>".encode()


def run(site: Site, **options: object) -> Run:
    return Run(PageKind, Source(1, SourceSpec("one", "page", URL, options=options)), site)


def link(slug: str) -> str:
    return f"https://lab.example/blog/{slug}"


async def test_new_links_become_entries_and_what_did_not_change_is_not_read() -> None:
    site = Site({URL: page("a", "b")}, "text/html")
    polled = run(site)
    first = await polled.poll()
    assert first is not None
    assert (set(polled.kept), first.whole, first.overlaps, first.remark) == (
        {link("a"), link("b")},
        True,
        False,
        None,
    )
    again = await polled.poll()
    assert again is not None
    assert again.unchanged
    assert "A-IM" not in site.sent[-1]
    assert site.sent[-1]["If-None-Match"]
    site.documents[URL] = page("c", "a", "b")
    third = await polled.poll()
    assert third is not None
    assert link("c") in polled.kept
    assert third.overlaps
    assert had_entries(polled.state)


async def test_without_validators_the_body_tells_that_nothing_changed() -> None:
    site = Site({URL: page("a")}, "text/html", tagged=False)
    polled = run(site)
    await polled.poll()
    again = await polled.poll()
    assert again is not None
    assert (again.unchanged, polled.kept[link("a")]) == (True, 1)


async def test_other_options_read_the_page_again() -> None:
    site = Site({URL: page("a", "b")}, "text/html")
    polled = run(site, match=["/a$"])
    await polled.poll()
    other = run(site, links="li a")
    other.state = polled.state
    step = await other.poll()
    assert step is not None
    assert "If-None-Match" not in site.sent[-1]
    assert set(other.kept) == {link("a"), link("b")}


async def test_an_advertised_feed_is_suggested_for_as_long_as_it_is() -> None:
    head = '<link rel="alternate" type="application/atom+xml" href="/atom.xml?key=hunter2">'
    site = Site({URL: page("a", head=head)}, "text/html")
    polled = run(site)
    words = "the page advertises the feed https://lab.example/atom.xml?key=***: `kind: feed` with that URL is surer"
    for _ in range(2):
        step = await polled.poll()
        assert step is not None
        assert step.remark == words
    site.documents[URL] = page("a", "b")
    step = await polled.poll()
    assert step is not None
    assert step.remark is None


async def test_a_page_without_articles_fails_in_words_and_keeps_what_was_known() -> None:
    site = Site({URL: page("a")}, "text/html")
    polled = run(site)
    await polled.poll()
    held = polled.state
    site.documents[URL] = (
        b"<html><title>Just a moment...</title><body><p>Checking your browser</p></body></html>"
    )
    await polled.poll()
    assert polled.failure == Failure(
        "not_a_feed",
        "no link of the page looks like an article; say which do (options: links): it is the challenge of a bot "
        "protection; ask the publisher to let feed readers through, or look for another address of the feed",
    )
    assert polled.state == held
    site.documents[URL] = 503
    await polled.poll()
    assert polled.failure == Failure(
        "http_status",
        "the server answered 503 Service Unavailable: it has trouble of its own; nothing needs to be done here",
        503,
    )


async def test_links_of_a_wall_are_no_articles() -> None:
    body = b"""<html><head><title>Log in</title></head><body><form><input type=password></form>
    <ul><li><a href=/blog/forgot>Lost password</a></li><li><a href=/blog/new>New here</a></li></ul></body></html>"""
    polled = run(Site({URL: body}, "text/html"))
    await polled.poll()
    assert polled.failure == Failure(
        "not_a_feed",
        "the page shows no articles: it is a login page; give the source its credentials, or the URL of a public feed",
    )


def test_options_are_checked_before_anything_is_asked() -> None:
    def problem(**options: object) -> str:
        with pytest.raises(ConfigurationError) as raised:
            checked_source(
                {"name": "one", "kind": "page", "url": URL, "options": options}, ["page"], schema_of
            )
        return str(raised.value)

    assert problem(links="a[").startswith("(one): options.links: is no CSS selector: ")
    assert problem(match=["("]) == (
        "(one): options.match.0: is no regular expression: missing ), unterminated subpattern at position 0"
    )
    assert problem(link="a") == "(one): options: link: unknown option; did you mean links?"
