"""What an operator may mean by what they wrote: which sources it could be, in the order in which to try them.

Some places tell by their form alone what they are: `r/netsec`, `@user@host`, the address of an API. Of others only the
answer tells: these come last, as a feed whose URL may turn out to be that of a page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

from digestd.feed import mastodon_place, reddit_place

LONGEST_WRITTEN = 8_192

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,20}://", re.IGNORECASE)
_HOST = re.compile(r"(?:[\w-]{1,63}\.)+[\w-]{2,63}(?::\d{1,5})?(?:[/?].*)?|localhost(?::\d{1,5})?(?:[/?].*)?")
_MASTODON_ACCOUNT = re.compile(
    r"(?:acct:)?@?([\w.-]{1,100}@[a-z0-9.-]+\.[a-z0-9-]+(?::\d{1,5})?)", re.IGNORECASE
)
_HANDLE = re.compile(r"@?((?:[a-z0-9-]{1,63}\.)+[a-z][a-z0-9-]{0,62})", re.IGNORECASE)
_DID = re.compile(r"did:(?:plc|web):[a-zA-Z0-9._:%-]{1,200}")
_X_NAME = re.compile(r"@?([A-Za-z0-9_]{1,15})")
_SUBREDDITS = re.compile(r"/?r/([a-z0-9_]+(?:\+[a-z0-9_]+)*)/?", re.IGNORECASE | re.ASCII)
_REDDIT_USER = re.compile(r"/?(?:u|user)/([a-z0-9_-]{1,30})(?:/submitted)?/?", re.IGNORECASE | re.ASCII)
_GITHUB_REPOSITORY = re.compile(
    r"/([\w.-]{1,100})/([\w.-]{1,100}?)(?:\.git)?(?:/(releases|tags))?/?", re.ASCII
)
_YOUTUBE_CHANNEL = re.compile(r"/channel/(UC[\w-]{10,40})(?:/.*)?", re.ASCII)

_COMMENTS_PATH = re.compile(r"/(?:comments?|kommentare|commentaires)(?:/|\.|$)", re.IGNORECASE)
_COMMENTS_TITLE = re.compile(r"\b(?:comments?|kommentar(?:e|feed|-feed)?|commentaires)\b", re.IGNORECASE)
_USUAL_NAMES = ("feed", "rss.xml", "atom.xml", "feed.xml", "index.xml")

# There /@name is something else than an account on Mastodon.
_NO_INSTANCES = frozenset({"youtube.com", "medium.com", "tiktok.com", "threads.net", "threads.com", "t.me"})
_X_PLACES = frozenset(
    {"home", "search", "explore", "i", "intent", "hashtag", "login", "settings", "share", "tos"}
)
_GITHUB_PLACES = frozenset(
    {"advisories", "topics", "orgs", "marketplace", "settings", "features", "sponsors"}
)
_KEV_PATH = "/sites/default/files/feeds/known_exploited_vulnerabilities.json"
_NVD_PATH = "/rest/json/cves/2.0"
_NVD_PAGES = frozenset({"", "/vuln", "/vuln/search", "/developers/vulnerabilities"})
_HN_TAGS = {"": "front_page", "/news": "front_page", "/ask": "ask_hn", "/show": "show_hn"}
_HN_POINTS = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """A source that may be meant: of the kind called `kind`, at `url` or told by `options`; `what` says so in words,
    where there is more to say than the URL.

    Where the option `needs` is not given it cannot be asked at all. `open` is one at whose URL may be something else,
    which is then looked at; `plain` is one to be tried only where nobody could be connected to for the one before.
    """

    kind: str
    what: str
    url: str | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: str | None = None
    open: bool = False
    plain: bool = False


def candidates(written: str) -> tuple[Candidate, ...]:
    """The sources that `written` may mean, those first that are to be tried first.

    Raises ValueError, with a sentence for the operator, where it means none.
    """
    text = written.strip()
    if not text or len(text) > LONGEST_WRITTEN or not text.isprintable():
        raise ValueError(
            f"a place is one line of at most {LONGEST_WRITTEN:,} characters, without control characters"
        )
    for rule in _FORMS:
        if found := tuple(rule(text)):
            return found
    raise ValueError(
        f"{text[:100]!r} is no place that is known; write a URL, @name@instance, r/subreddit, name.bsky.social, "
        "the path of a file or directory (./name), or one of nvd, kev, ghsa, hackernews"
    )


def at(url: str) -> Candidate:
    """Whatever is served at `url`: a feed, or something that leads to one."""
    return Candidate("feed", "", url, open=True)


def guesses(url: str) -> tuple[str, ...]:
    """Where the feed of a page at `url` often is that the page does not name: never elsewhere than beneath it, since
    the feed of a whole site is another one than that of a part of it."""
    parts = urlsplit(url)
    folder = parts.path.rstrip("/")
    return tuple(
        urlunsplit((parts.scheme, parts.netloc, f"{folder}/{name}", "", "")) for name in _USUAL_NAMES
    )


def is_of_comments(url: str, title: str) -> bool:
    """Whether the feed at `url`, called `title`, has what readers say of articles and not the articles."""
    return bool(_COMMENTS_PATH.search(urlsplit(url).path) or _COMMENTS_TITLE.search(title))


def _word(text: str) -> Iterator[Candidate]:
    word = text.lower()
    if word in ("nvd", "kev"):
        yield Candidate(word, _CATALOGUES[word])
    if word in ("ghsa", "github advisories"):
        yield Candidate("ghsa", _CATALOGUES["ghsa"])
    if word in ("hackernews", "hacker news", "hn"):
        yield _hackernews()


def _reddit(text: str) -> Iterator[Candidate]:
    if match := _SUBREDDITS.fullmatch(text):
        yield _subreddits(match[1])
    elif match := _REDDIT_USER.fullmatch(text):
        yield _reddit_user(match[1])


def _account(text: str) -> Iterator[Candidate]:
    if _SCHEME.match(text):
        return
    if (match := _MASTODON_ACCOUNT.fullmatch(text)) and text.startswith(("@", "acct:")):
        yield Candidate("mastodon", f"the account {match[1]} on Mastodon", options={"account": match[1]})
    elif _DID.fullmatch(text):
        yield _bluesky(text)
    elif (match := _HANDLE.fullmatch(text)) and (text[0] == "@" or text.lower().endswith(".bsky.social")):
        yield _bluesky(match[1].lower())
    elif text[0] == "@" and (match := _X_NAME.fullmatch(text)):
        yield _x(match[1])


def _path(text: str) -> Iterator[Candidate]:
    path = unquote(text[7:]) if text.lower().startswith("file:///") else text
    if path.startswith(("/", "./", "../")) or path in (".", ".."):
        yield Candidate("file", "saved feeds", options={"path": path})


def _url(text: str) -> Iterator[Candidate]:
    if text[:5].lower() == "feed:":
        text = text[5:] if _SCHEME.match(text[5:]) else f"https://{text[5:].lstrip('/')}"
    if _SCHEME.match(text):
        yield from _addressed(text)
    elif _HOST.fullmatch(text):
        yield from _addressed(f"https://{text}")
        yield from (replace(one, plain=True) for one in _addressed(f"http://{text}") if one.open)


def _addressed(url: str) -> Iterator[Candidate]:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removeprefix("www.")
        known = (
            [one for rule in _ADDRESSES for one in rule(parts, host)]
            if parts.scheme in ("http", "https")
            else []
        )
    except ValueError:
        known = []
    yield from known
    if not known or known[-1].kind in _MAY_BE_OTHERS:
        yield at(url)


def _reddit_address(parts: SplitResult, host: str) -> Iterator[Candidate]:
    if host not in ("reddit.com", "old.reddit.com", "new.reddit.com", "np.reddit.com", "m.reddit.com"):
        return
    if match := _REDDIT_USER.fullmatch(parts.path):
        yield _reddit_user(match[1])
    elif parts.path.startswith("/r/") and not parts.query:
        try:
            names = reddit_place.read_place(parts.geturl()).names
        except ValueError:
            # A discussion, a search: what it serves tells.
            return
        yield _subreddits("+".join(names))


def _bluesky_address(parts: SplitResult, host: str) -> Iterator[Candidate]:
    name = unquote(parts.path.removeprefix("/profile/").removesuffix("/").removesuffix("/rss"))
    if (
        host == "bsky.app"
        and parts.path.startswith("/profile/")
        and (_HANDLE.fullmatch(name) or _DID.fullmatch(name))
    ):
        yield _bluesky(name)


def _x_address(parts: SplitResult, host: str) -> Iterator[Candidate]:
    if host.removeprefix("mobile.") not in ("x.com", "twitter.com"):
        return
    name = parts.path.strip("/")
    if name == "search" and (words := parse_qs(parts.query).get("q")):
        yield Candidate(
            "x", f"posts on X about {words[0]}", options={"query": words[0]}, needs="bearer_token"
        )
    elif name.lower() not in _X_PLACES and (match := _X_NAME.fullmatch(name)):
        yield _x(match[1])


def _mastodon_address(parts: SplitResult, host: str) -> Iterator[Candidate]:
    if host.removeprefix("m.") in _NO_INSTANCES or parts.query:
        return
    try:
        place = mastodon_place.read_place(parts.geturl())
    except ValueError:
        return
    what = f"the tag {place.name}" if place.is_tag else f"the account {place.name}"
    yield Candidate("mastodon", f"{what} on Mastodon", parts.geturl())


def _catalogue_address(parts: SplitResult, host: str) -> Iterator[Candidate]:
    path = parts.path.rstrip("/")
    base = f"{parts.scheme}://{parts.netloc}"
    if (host == "cisa.gov" and path in ("/known-exploited-vulnerabilities-catalog", _KEV_PATH)) or (
        host == "raw.githubusercontent.com"
        and path.startswith("/cisagov/kev-data/")
        and path.endswith(".json")
    ):
        yield Candidate("kev", _CATALOGUES["kev"])
    elif path.endswith(_KEV_PATH):
        yield Candidate("kev", _CATALOGUES["kev"], options={"base_url": base + path.removesuffix(_KEV_PATH)})
    elif host == "services.nvd.nist.gov" or (host == "nvd.nist.gov" and path in _NVD_PAGES):
        yield Candidate("nvd", _CATALOGUES["nvd"])
    elif path.endswith(_NVD_PATH):
        yield Candidate("nvd", _CATALOGUES["nvd"], options={"base_url": base + path.removesuffix(_NVD_PATH)})


def _github_address(parts: SplitResult, host: str) -> Iterator[Candidate]:
    if host in ("github.com", "api.github.com") and parts.path.rstrip("/") == "/advisories":
        yield Candidate("ghsa", _CATALOGUES["ghsa"], options=_advisories_asked_for(parts.query))
    elif host == "github.com" and (match := _GITHUB_REPOSITORY.fullmatch(parts.path)):
        owner, name, of = match.groups()
        if owner not in _GITHUB_PLACES:
            of = of or "releases"
            url = f"https://github.com/{owner}/{name}/{of}.atom"
            yield Candidate("feed", f"the {of} of {owner}/{name} at GitHub", url)


def _hackernews_address(parts: SplitResult, host: str) -> Iterator[Candidate]:
    asked = parse_qs(parts.query)
    if host == "hn.algolia.com" and (words := asked.get("q") or asked.get("query")):
        yield _hackernews(query=words[0])
    elif host == "news.ycombinator.com" and (tag := _HN_TAGS.get(parts.path.rstrip("/"))):
        yield _hackernews(**({} if tag == "front_page" else {"tags": [tag]}))


def _youtube_address(parts: SplitResult, host: str) -> Iterator[Candidate]:
    if host.removeprefix("m.") != "youtube.com":
        return
    feeds = "https://www.youtube.com/feeds/videos.xml"
    if match := _YOUTUBE_CHANNEL.fullmatch(parts.path):
        yield Candidate("feed", "a channel at YouTube", f"{feeds}?channel_id={match[1]}")
    elif parts.path == "/playlist" and re.fullmatch(
        r"[\w-]{10,60}", playlist := parse_qs(parts.query).get("list", [""])[0]
    ):
        yield Candidate("feed", "a playlist at YouTube", f"{feeds}?playlist_id={playlist}")


def _subreddits(joined: str) -> Candidate:
    names = sorted(set(joined.lower().split("+")))
    return Candidate("reddit", f"r/{'+'.join(names)} on Reddit", options={"subreddits": names})


def _reddit_user(name: str) -> Candidate:
    return Candidate("feed", f"what u/{name} posts on Reddit", f"https://www.reddit.com/user/{name}/.rss")


def _bluesky(account: str) -> Candidate:
    return Candidate("bluesky", f"the account {account} on Bluesky", options={"account": account})


def _x(name: str) -> Candidate:
    return Candidate("x", f"the account {name} on X", options={"user": name}, needs="bearer_token")


def _hackernews(**options: Any) -> Candidate:
    options = options if "query" in options else {"points": _HN_POINTS, **options}
    about = f"about {options['query']}" if "query" in options else f"with {_HN_POINTS} points or more"
    return Candidate("hackernews", f"stories at Hacker News {about}", options=options)


def _advisories_asked_for(query: str) -> dict[str, str]:
    asked = parse_qs(query)
    found = {name: asked[name][0] for name in _ADVISORY_FILTERS if name in asked}
    # The page has them as words of its search: query=type:reviewed ecosystem:npm.
    for word in " ".join(asked.get("query", [])).split():
        name, colon, value = word.partition(":")
        if colon and value and name in _ADVISORY_FILTERS:
            found[name] = value.lower()
    return found


_CATALOGUES = {
    "nvd": "CVEs as NVD has them",
    "kev": "CISA's known exploited vulnerabilities",
    "ghsa": "GitHub's advisories",
}
_ADVISORY_FILTERS = ("type", "ecosystem", "severity")
# What other sites have at addresses of the same form, too.
_MAY_BE_OTHERS = frozenset({"mastodon"})

_FORMS: tuple[Callable[[str], Iterator[Candidate]], ...] = (_word, _reddit, _account, _path, _url)
_ADDRESSES: tuple[Callable[[SplitResult, str], Iterator[Candidate]], ...] = (
    _reddit_address,
    _bluesky_address,
    _x_address,
    _mastodon_address,
    _catalogue_address,
    _github_address,
    _hackernews_address,
    _youtube_address,
)
