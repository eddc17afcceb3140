"""What is found at a place: in which order it is looked for, what is asked for, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import trio

from digestd.cli.places import maker
from digestd.errors import ConnectFailed, FetchError, NameNotFound
from digestd.feed.recognising import Candidate, at, candidates
from digestd.ingest.discovery import MOST_FEEDS, Discovery, Tried
from digestd.model import Response
from support.exploring import Ground
from support.kind_runs import Site

HOME = "https://lab.example/"
ROBOTS = f"{HOME}robots.txt"
ARTICLES = "".join(
    f"<article><h2><a href='/research/2026/11/{number}-how-we-broke-the-example-vpn'>How we broke the Example VPN, part"
    f" {number}</a></h2><time datetime='2026-11-0{number}'>then</time></article>"
    for number in range(1, 6)
).encode()


def rss(title: str = "Lab", entries: int = 2) -> bytes:
    items = "".join(
        f"<item><guid>{title} {number}</guid><title>t{number}</title></item>" for number in range(entries)
    )
    return f"<rss version='2.0'><channel><title>{title}</title>{items}</channel></rss>".encode()


def page(*links: str, body: bytes = b"<p>Hello</p>") -> bytes:
    head = "".join(
        f"<link rel='alternate' type='application/rss+xml' href='{href}' title='{title}'>"
        for href, _, title in (link.partition("|") for link in links)
    )
    return f"<html><head><title>The lab</title>{head}</head><body>".encode() + body + b"</body></html>"


def found(
    documents: Mapping[str, Any],
    *tried: Candidate,
    secret: bool = False,
    options: Mapping[str, Any] | None = None,
) -> tuple[Discovery, Site]:
    """What comes of `tried`, or of the home page, where `documents` are served."""
    site = Site(documents=dict(documents), tagged=False)
    make = maker({"name": "it"}, options or {})

    async def explore() -> Discovery:
        ground = Ground(site, secret=secret)
        return await ground.explore(*(tried or (at(HOME),)), make=make, options=options)

    return trio.run(explore), site


def summary(discovery: Discovery) -> tuple[str, str, str | None]:
    assert discovery.best is not None, discovery.tried
    return discovery.best.spec.kind, discovery.best.spec.url, discovery.best.via


def fails(error: FetchError) -> Any:
    def serve() -> bytes:
        raise error

    return serve


def test_a_feed_is_found_where_it_is_and_asked_for_once() -> None:
    discovery, site = found({HOME: rss()})
    assert summary(discovery) == ("feed", HOME, None)
    assert site.asked == [HOME]
    assert (discovery.others, discovery.tried, discovery.not_asked) == ([], [], [])


def test_a_page_leads_to_the_feed_that_it_advertises() -> None:
    discovery, site = found({HOME: page("feed.xml|The lab"), f"{HOME}feed.xml": rss()})
    assert summary(discovery) == ("feed", f"{HOME}feed.xml", f"advertised by the page {HOME}")
    assert site.asked == [HOME, f"{HOME}feed.xml"]


def test_of_several_feeds_the_first_with_entries_that_is_none_of_comments_is_the_best() -> None:
    documents = {
        HOME: page("/comments/feed|Comments", "/empty|News", "/posts|Posts", "/atom|Posts, too"),
        f"{HOME}comments/feed": rss("Comments"),
        f"{HOME}empty": rss("News", 0),
        f"{HOME}posts": rss("Posts"),
        f"{HOME}atom": rss("Posts, too"),
    }
    discovery, _ = found(documents)
    assert summary(discovery)[1] == f"{HOME}posts"
    assert [one.spec.url for one in discovery.others] == [
        f"{HOME}empty",
        f"{HOME}atom",
        f"{HOME}comments/feed",
    ]


def test_no_more_feeds_of_a_page_are_asked_for_than_a_few() -> None:
    names = [f"f{number}" for number in range(9)]
    discovery, site = found({HOME: page(*names), **{f"{HOME}{name}": rss(name) for name in names}})
    assert summary(discovery)[1] == f"{HOME}f0"
    assert len(site.asked) == 1 + MOST_FEEDS
    assert discovery.not_asked == [f"{HOME}{name}" for name in names[MOST_FEEDS:]]


def test_a_feed_of_comments_is_better_than_none() -> None:
    discovery, _ = found({HOME: page("/comments/feed"), f"{HOME}comments/feed": rss()})
    assert summary(discovery)[1] == f"{HOME}comments/feed"


def test_a_link_that_looks_like_a_feed_is_followed_on_its_own_site_alone() -> None:
    body = b"<a href='https://other.example/rss'>theirs</a><a href='/blog/rss#top'>RSS</a>"
    discovery, site = found({HOME: page(body=body), f"{HOME}blog/rss": rss()})
    assert summary(discovery) == ("feed", f"{HOME}blog/rss", f"a link on the page {HOME}")
    assert site.asked == [HOME, f"{HOME}blog/rss"]


def test_usual_names_are_tried_beneath_the_page_as_robots_txt_allows() -> None:
    robots = b"User-agent: *\nDisallow: /news/feed\nDisallow: /news/rss.xml\n"
    url = f"{HOME}news"
    discovery, site = found({url: page(), ROBOTS: robots, f"{url}/atom.xml": rss()}, at(url))
    assert summary(discovery) == ("feed", f"{url}/atom.xml", f"not named by the page {url}, but beneath it")
    assert site.asked == [url, ROBOTS, f"{url}/atom.xml"]


def test_nothing_is_guessed_where_robots_txt_cannot_be_had() -> None:
    _, site = found({HOME: page(), ROBOTS: 503})
    assert not [url for url in site.asked if url.endswith((".xml", "feed"))]


def test_a_page_of_articles_is_read_as_one() -> None:
    url = f"{HOME}research/"
    discovery, site = found({url: page(body=ARTICLES), ROBOTS: 404}, at(url))
    assert summary(discovery) == ("page", url, None)
    assert discovery.best is not None
    assert len(discovery.best.trial.entries) == 5
    assert discovery.tried[0].why.startswith(
        "not_a_feed: an HTML page (title 'The lab') came instead of a feed"
    )
    # Once more as a page: servers may answer that with another document.
    assert site.asked.count(url) == 2


def test_the_sitemap_of_a_home_page_without_articles_is_found() -> None:
    urls = "".join(f"<url><loc>{HOME}{number}</loc></url>" for number in range(3))
    sitemap = f"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>{urls}</urlset>".encode()
    robots = b"User-agent: *\nAllow: /\nSitemap: https://lab.example/map.xml\n"
    discovery, _ = found({HOME: page(), ROBOTS: robots, f"{HOME}map.xml": sitemap})
    assert summary(discovery) == ("sitemap", ROBOTS, None)
    assert discovery.best is not None
    assert len(discovery.best.trial.entries) == 3


def test_the_sitemap_of_a_whole_site_is_not_that_of_a_part_of_it() -> None:
    robots = b"Sitemap: https://lab.example/map.xml\n"
    discovery, site = found({f"{HOME}part": page(), ROBOTS: robots}, at(f"{HOME}part"))
    assert discovery.best is None
    assert f"{HOME}map.xml" not in site.asked


def test_a_sitemap_is_found_where_it_is() -> None:
    url = f"{HOME}sitemap.xml"
    sitemap = f"<?xml version='1.0'?><urlset><url><loc>{HOME}1</loc></url></urlset>".encode()
    discovery, _ = found({url: sitemap}, at(url))
    assert summary(discovery) == ("sitemap", url, None)


def test_what_is_no_feed_and_leads_nowhere_is_no_source() -> None:
    discovery, _ = found({HOME: b'{"a": 1}'})
    assert discovery.best is None
    assert discovery.conclusive
    assert [one.what for one in discovery.tried] == [HOME]


def test_what_is_not_there_is_no_source_and_what_cannot_be_reached_may_be_one() -> None:
    assert found({HOME: 404})[0].conclusive
    for answer in (
        500,
        503,
        429,
        403,
        401,
        fails(NameNotFound("no such name")),
        fails(ConnectFailed("refused")),
    ):
        discovery, _ = found({HOME: answer})
        assert discovery.best is None
        assert not discovery.conclusive, answer


def test_what_a_page_leads_to_does_not_make_it_more_than_a_page() -> None:
    discovery, _ = found({HOME: page("/feed"), f"{HOME}feed": 503})
    assert discovery.best is None
    assert discovery.conclusive


def test_what_was_found_in_time_counts() -> None:
    documents = {HOME: page("/a", "/b"), f"{HOME}a": rss("A"), f"{HOME}b": rss("B")}
    discovery, _ = found(documents)
    early = Discovery(others=[one for one in (discovery.best, *discovery.others) if one])
    early.cut_off(120)
    assert early.best is discovery.best
    assert early.tried == []
    nothing = Discovery(conclusive=True)
    nothing.cut_off(120)
    assert (nothing.best, nothing.conclusive) == (None, False)
    assert nothing.tried == [Tried("all that may be there", "it takes longer than 120 s")]


def test_a_host_is_asked_without_tls_only_where_nobody_listens_with_it() -> None:
    plain = "http://lab.example"
    discovery, _ = found(
        {"https://lab.example": fails(ConnectFailed("refused")), plain: rss()}, *candidates("lab.example")
    )
    assert summary(discovery)[1] == plain
    discovery, site = found({"https://lab.example": 404, plain: rss()}, *candidates("lab.example"))
    assert discovery.best is None
    assert site.asked == ["https://lab.example"]


def test_a_candidate_whose_kind_is_not_installed_is_told() -> None:
    discovery, _ = found({}, Candidate("shelf", "a shelf", options={"a": 1}))
    assert discovery.tried == [Tried("a shelf", "the kind 'shelf' is not installed here")]


def test_a_candidate_that_needs_a_secret_is_not_asked_without_it() -> None:
    needy = Candidate("feed", "an account", HOME, needs="bearer_token")
    discovery, site = found({HOME: rss()}, needy)
    assert discovery.tried == [
        Tried(
            f"an account: {HOME}",
            "it cannot be asked without the option bearer_token (a secret): "
            "add it with --option 'bearer_token={env: FEED_BEARER_TOKEN}'",
        )
    ]
    assert site.asked == []
    discovery, _ = found({HOME: rss()}, needy, options={"bearer_token": {"env": "TOKEN"}})
    assert summary(discovery)[1] == HOME


def test_options_of_another_kind_say_how_it_is_read() -> None:
    body = b"<ul><li><a href='/a'>One</a><li><a href='/b'>Two</a></ul>"
    discovery, site = found({HOME: page("/feed", body=body)}, options={"links": "li a"})
    assert summary(discovery) == ("page", HOME, None)
    assert site.asked == [HOME]


def test_options_of_no_kind_are_told() -> None:
    discovery, site = found({HOME: rss()}, options={"lnks": "h2 a"})
    assert (discovery.best, site.asked) == (None, [])
    assert [one.problems for one in discovery.tried] == [
        ("(it): options: lnks: unknown option; those of the kind 'feed': paging",),
        ("(it): options: lnks: unknown option; did you mean links?",),
        ("(it): options: lnks: unknown option; those of the kind 'sitemap': match",),
    ]


def test_credentials_are_not_carried_to_where_the_page_is_redirected() -> None:
    class Moving(Site):
        async def get(self, url: str, **more: Any) -> Response:
            response = await super().get(url, **more)
            return replace(response, url="https://evil.example/")

    site = Moving(documents={HOME: page("/feed|Theirs"), "https://evil.example/feed": rss()}, tagged=False)

    async def explore() -> Discovery:
        return await Ground(site, secret=True).explore(at(HOME), make=maker({"name": "it"}, {}))

    discovery = trio.run(explore)
    assert discovery.best is None
    assert set(site.asked) <= {HOME, ROBOTS, "https://evil.example/robots.txt"}


def test_credentials_stay_at_the_origin_that_they_were_given_for() -> None:
    documents = {
        HOME: page("https://evil.example/feed|Theirs", "/mine|Mine"),
        "https://evil.example/feed": rss("Theirs"),
        f"{HOME}mine": rss("Mine"),
    }
    discovery, site = found(documents, secret=True)
    assert summary(discovery)[1] == f"{HOME}mine"
    assert "https://evil.example/feed" not in site.asked
    assert discovery.tried[-1] == Tried(
        "the feed 'Theirs': https://evil.example/feed",
        "it is at another origin, which does not get the credentials that were given; add it by its URL",
    )
    assert summary(found(documents)[0])[1] == "https://evil.example/feed"


def test_secrets_in_addresses_are_not_told() -> None:
    discovery, _ = found({HOME: page(f"{HOME}f?token=hunter2|x"), f"{HOME}f?token=hunter2": 404})
    assert not [one for one in discovery.tried if "hunter2" in one.what + one.why]
    assert any("token=***" in one.what for one in discovery.tried)
