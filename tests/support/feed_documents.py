"""XML feeds that nobody wrote: RSS, RDF and Atom of every element that feedparser knows, in each other's places, with
namespaces under odd prefixes, bases, languages, markup of every sort and text that is hard to read; and real feeds that
were tampered with."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from random import Random

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

ATOM = "http://www.w3.org/2005/Atom"
RSS_1 = "http://purl.org/rss/1.0/"

USUAL = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "dcterms": "http://purl.org/dc/terms/",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
    "media": "http://search.yahoo.com/mrss/",
    "georss": "http://www.georss.org/georss",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "sy": "http://purl.org/rss/1.0/modules/syndication/",
    "xhtml": "http://www.w3.org/1999/xhtml",
    "xlink": "http://www.w3.org/1999/xlink",
    "cc": "http://web.resource.org/cc/",
    "creativeCommons": "http://backend.userland.com/creativeCommonsRssModule",
    "feedburner": "http://rssnamespace.org/feedburner/ext/1.0",
    "admin": "http://webns.net/mvcb/",
    "x": "urn:nobody",
}
_ODD = (
    *("urn:another", "HTTP://purl.org/DC/elements/1.1/", "http://purl.org/rss/1.0/modules/content"),
    *(
        "http://search.yahoo.com/mrss",
        "http://backend.userland.com/rss2",
        "http://purl.org/atom/ns#",
        ATOM,
        RSS_1,
    ),
)
_ROOTS: dict[str, tuple[str, ...]] = {
    "rss": ("", "", "", ATOM, "http://backend.userland.com/rss2"),
    "feed": (ATOM, ATOM, ATOM, "http://purl.org/atom/ns#", "urn:another"),
    "rdf:RDF": (RSS_1, RSS_1, "http://my.netscape.com/rdf/simple/0.9/"),
}

_COMMON = (
    *("title", "link", "description", "guid", "id", "pubDate", "updated", "published", "author", "summary"),
    *(
        "content",
        "category",
        "source",
        "name",
        "email",
        "uri",
        "url",
        "image",
        "language",
        "ttl",
        "enclosure",
    ),
    *("dc:creator", "dc:date", "dc:title", "dc:description", "dc:subject", "dc:language", "dc:contributor"),
    *("content:encoded", "itunes:author", "itunes:summary", "itunes:owner", "itunes:name", "itunes:email"),
    *("media:content", "media:group", "media:title", "media:description", "sy:updatePeriod", "comments"),
    *(
        "date",
        "modified",
        "rights",
        "subtitle",
        "contributor",
        "managingEditor",
        "webMaster",
        "lastBuildDate",
    ),
)
_RARE = (
    *(
        "item",
        "entry",
        "channel",
        "body",
        "fullitem",
        "xhtml:body",
        "abstract",
        "textInput",
        "width",
        "license",
    ),
    *(
        "creativeCommons:license",
        "cc:license",
        "itunes:image",
        "itunes:link",
        "itunes:category",
        "itunes:subtitle",
    ),
    *(
        "media:thumbnail",
        "media:credit",
        "media:rating",
        "media:player",
        "media:category",
        "georss:point",
        "where",
    ),
    *(
        "generator",
        "admin:generatorAgent",
        "feedburner:browserFriendly",
        "created",
        "dcterms:issued",
        "dcterms:valid",
    ),
    *(
        "homepage",
        "tags",
        "keywords",
        "items",
        "newlocation",
        "cloud",
        "info",
        "copyright",
        "tagline",
        "rdf:value",
    ),
    *("dc:author", "dc:publisher", "dc:rights", "expirationDate", "issued", "x:content", "x:title", "TITLE"),
    *("links", "content_encoded", "sy:updateFrequency", "media:keywords", "skipHours"),
)
_INLINE = ("b", "p", "div", "br", "img", "a", "xhtml:div", "xhtml:p", "x:i")

_TEXTS = (
    *("word", " ", "\n  ", "", "true", "daily", "60", "&lt;b>x&lt;/b>", "&lt;div>y&lt;/div>", "&lt;/p>", "&#60;i&#62;"),
    *("&amp;amp;", "a &amp; b &amp;copy; c", "<![CDATA[<p>c</p>]]>", "<![CDATA[a&amp;b]]>", "<!-- c -->", "<?pi x?>"),
    *("a@b.example (Name)", "Name &lt;a@b.example>", "a@b.example", "(a@b.example)", "Name", "x" * 300),
    *("2020-01-10T10:00:00Z", "Fri, 10 Jan 2020 10:00:00 GMT", "10.1.2020", "2020-13-40", "1" * 250),
    *("http://a.example/?a=1&amp;b=2", "/rel/x?y=1&amp;z;=2", "http:////a//b", "mailto:x@y.example", "http://[bad"),
    *("é", "Ã©", "&#146;", "x\x85y", "\u2028", "漢", "&#x1F600;", "\u00a0z\u00a0"),
)  # fmt: skip
_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "type": (
        *("html", "text", "xhtml", "text/html", "text/plain", "application/xhtml+xml", "application/xml"),
        *("image/png", "HTML", ""),
    ),
    "href": ("/x", "http://h.example/p", "", "http:///a", "mailto:a@b.example", "http://[x"),
    "rel": ("alternate", "self", "next", "ALTERNATE", "enclosure", "prev-archive", "license"),
    "url": ("http://u.example/", "", "v"),
    "uri": ("u",),
    "isPermaLink": ("true", "false", "TRUE"),
    "xml:base": ("http://base.example/a/b", "c/", "", "javascript:x", "//n.example/"),
    "base": ("http://b2.example/", "d"),
    "xml:lang": ("de", "", "en_US", "fr-FR"),
    "lang": ("es",),
    "mode": ("base64", "xml", "escaped"),
    "rdf:about": ("urn:1",),
    "version": ("2.0", "0.91", "0.3", "1.0"),
    "x:y": ("1",),
    "xlink:href": ("z",),
    "CLASS": ("k",),
    "class": ("a&b<", "q'\""),
    "term": ("t",),
    "text": ("T",),
}


def _rendered(name: str, attributes: dict[str, str], inner: str) -> str:
    written = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{inner}</{name}>"


def _attributes(most: int) -> SearchStrategy[dict[str, str]]:
    pair = st.sampled_from(sorted(_ATTRIBUTES)).flatmap(
        lambda name: st.tuples(st.just(name), st.sampled_from(_ATTRIBUTES[name]))
    )
    return st.one_of(st.just({}), st.lists(pair, max_size=most).map(dict))


def _declaration() -> SearchStrategy[dict[str, str]]:
    """A namespace bound in the middle of a document, mostly none."""
    prefixes = st.sampled_from(["xmlns", "xmlns:dc", "xmlns:media", "xmlns:x", "xmlns:content", "xmlns:new"])
    uris = st.sampled_from([*USUAL.values(), *_ODD])
    bound = st.tuples(prefixes, uris).map(lambda pair: dict([pair]))
    return st.one_of(*[st.just(dict[str, str]())] * 12, bound)


def _element(names: SearchStrategy[str], inner: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.builds(
        lambda name, attributes, declared, text: _rendered(name, {**attributes, **declared}, text),
        names,
        _attributes(3),
        _declaration(),
        inner,
    )


_TEXT = st.lists(st.sampled_from(_TEXTS), min_size=1, max_size=2).map("".join)
_ANY_NAME = st.one_of(*[st.sampled_from(_COMMON)] * 5, st.sampled_from(_RARE), st.sampled_from(_INLINE))
_MIXED = st.lists(
    st.one_of(_TEXT, _TEXT, _element(st.sampled_from(_INLINE), _TEXT), _element(_ANY_NAME, _TEXT)), max_size=3
).map("".join)
_NODE = _element(_ANY_NAME, st.one_of(*[_TEXT] * 6, _MIXED, st.just("")))
_NODES = st.lists(_NODE, max_size=7).map("\n".join)


@st.composite
def feeds(draw: Callable[[SearchStrategy[object]], object]) -> bytes:
    """A feed, mostly one that feedparser's strict parser reads."""
    root = draw(st.sampled_from(sorted(_ROOTS)))
    default = draw(st.sampled_from(_ROOTS[str(root)]))
    bound = dict(draw(st.permutations(sorted(USUAL.items()))))  # type: ignore[call-overload]
    if draw(st.integers(0, 4)) == 0:
        bound[draw(st.sampled_from(sorted(USUAL)))] = draw(st.sampled_from([*USUAL.values(), *_ODD]))
    declared = {f"xmlns:{prefix}": uri for prefix, uri in bound.items()} | (
        {"xmlns": default} if default else {}
    )
    name = "entry" if root == "feed" else "item"
    items = draw(st.lists(_element(st.just(name), _NODES), min_size=1, max_size=3))
    head, tail = draw(_NODES), draw(st.one_of(st.just(""), _NODES))
    inner = f"{head}{''.join(items)}{tail}"  # type: ignore[arg-type]
    if root == "rss":
        inner = _rendered("channel", {}, inner)
    elif root == "rdf:RDF":
        inner = f"{_rendered('channel', {}, str(head))}{''.join(items)}{tail}"  # type: ignore[arg-type]
    own = dict(draw(_attributes(2)))  # type: ignore[call-overload]
    before = draw(
        st.sampled_from(["", "<?xml version='1.0' encoding='utf-8'?>\n", "<?xml-stylesheet a?>", "\n \ufeff"])
    )
    return f"{before}{_rendered(str(root), {**own, **declared}, inner)}".encode()


_LEAF = re.compile(rb"<([\w:]+)[^<>]*>(?:[^<]|<!\[CDATA\[.*?\]\]>)*</\1>|<[\w:]+[^<>]*/>", re.DOTALL)
_BOUND = re.compile(rb'xmlns(?::\w+)?="[^"]*"')
_ADDED = (
    b' type="html"',
    b' type="xhtml"',
    b' type="text"',
    b' xml:base="http://q.example/z/"',
    b' xml:lang="fr"',
)


def tampered(body: bytes, chance: Random) -> bytes:
    """The feed `body` with one to four elements dropped, repeated, replaced or renamed, namespaces swapped, bits
    flipped or bytes cut out."""
    for _ in range(chance.randint(1, 4)):
        leaves = list(_LEAF.finditer(body))
        if leaves:
            body = chance.choice(_WAYS)(body, chance.choice(leaves), chance.choice(leaves), chance)
    return body


def _drop(body: bytes, leaf: re.Match[bytes], other: re.Match[bytes], chance: Random) -> bytes:
    return body[: leaf.start()] + body[leaf.end() :]


def _replace(body: bytes, leaf: re.Match[bytes], other: re.Match[bytes], chance: Random) -> bytes:
    return body[: leaf.start()] + other[0] + body[leaf.end() :]


def _insert(body: bytes, leaf: re.Match[bytes], other: re.Match[bytes], chance: Random) -> bytes:
    return body[: leaf.start()] + other[0] + body[leaf.start() :]


def _rename(body: bytes, leaf: re.Match[bytes], other: re.Match[bytes], chance: Random) -> bytes:
    if not leaf[1]:
        return body
    name, length = chance.choice(_COMMON).encode(), len(leaf[1])
    renamed = b"<" + name + leaf[0][1 + length : -length - 1] + name + b">"
    return body[: leaf.start()] + renamed + body[leaf.end() :]


def _mark(body: bytes, leaf: re.Match[bytes], other: re.Match[bytes], chance: Random) -> bytes:
    added = chance.choice(_ADDED)
    if not leaf[1] or added.partition(b"=")[0] in leaf[0]:
        return body
    at = leaf.start() + 1 + len(leaf[1])
    return body[:at] + added + body[at:]


def _swap_namespaces(body: bytes, leaf: re.Match[bytes], other: re.Match[bytes], chance: Random) -> bytes:
    bound = _BOUND.findall(body)
    if not bound:
        return body
    first, second = chance.choice(bound), chance.choice(bound)
    return body.replace(first, first.partition(b"=")[0] + b"=" + second.partition(b"=")[2], 1)


def _flip(body: bytes, leaf: re.Match[bytes], other: re.Match[bytes], chance: Random) -> bytes:
    at = chance.randrange(len(body))
    return body[:at] + bytes([body[at] ^ (1 << chance.randrange(8))]) + body[at + 1 :]


def _cut(body: bytes, leaf: re.Match[bytes], other: re.Match[bytes], chance: Random) -> bytes:
    at = chance.randrange(len(body))
    return body[:at] + body[at + chance.randrange(40) :]


_WAYS = (_drop, _replace, _insert, _insert, _rename, _mark, _swap_namespaces, _flip, _cut)
