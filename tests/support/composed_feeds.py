"""Any bytes read as the plan of a feed: what a fuzzer or hypothesis varies byte by byte is nearly always well-formed,
so that it gets to the parser's rules instead of its syntax.

Each step of the plan begins, fills or ends an element. Every element that feedparser has a rule for can stand in any
other one, in any order, under any prefix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple, TypeVar

from support.feed_documents import ATOM, RSS_1, USUAL

T = TypeVar("T")

_XHTML = "http://www.w3.org/1999/xhtml"
_BOUND = {
    **USUAL,
    "gml": "http://www.opengis.net/gml",
    "h": _XHTML,
    "podcast": "https://podcastindex.org/namespace/1.0",
    "slash": "http://purl.org/rss/1.0/modules/slash/",
    "psc": "http://podlove.org/simple-chapters",
    "atom": ATOM,
}
_NAMESPACES = (
    *_BOUND.values(),
    *("", "", "urn:another", "urn:nobody", RSS_1, "http://purl.org/atom/ns#", "uri/of/echo/namespace#"),
    *("http://my.netscape.com/rdf/simple/0.9/", "http://backend.userland.com/rss2", "http://search.yahoo.com/mrss"),
    *("HTTP://purl.org/DC/elements/1.1/", "http://purl.org/rss/1.0/modules/content", "https://purl.org/dc/elements/1.1/"),
)  # fmt: skip

_LINES = (
    *("title", "title", "title", "link", "link", "link", "guid", "guid", "id", "pubDate", "updated", "published"),
    *("author", "author", "category", "source", "name", "email", "uri", "url", "language", "ttl", "enclosure"),
    *("comments", "date", "modified", "issued", "created", "managingEditor", "webMaster", "lastBuildDate"),
    *("contributor", "generator", "keywords", "tags", "newlocation", "cloud", "license", "expirationDate", "homepage"),
    *("dc:creator", "dc:date", "dc:title", "dc:subject", "dc:language", "dc:contributor", "dc:author", "dc:publisher"),
    *("dcterms:issued", "dcterms:modified", "dcterms:created", "dcterms:valid", "media:title", "media:thumbnail"),
    *("media:content", "media:credit", "media:category", "media:player", "media:rating", "media:keywords"),
    *("media:restriction", "media:license", "itunes:author", "itunes:name", "itunes:email", "itunes:category"),
    *("itunes:image", "itunes:keywords", "itunes:explicit", "itunes:block", "itunes:link", "itunes:title"),
    *("cc:license", "creativeCommons:license", "georss:point", "georss:where", "where", "sy:updatePeriod"),
    *("sy:updateFrequency", "podcast:guid", "podcast:person", "slash:comments", "psc:chapters", "psc:chapter"),
    *("atom:link", "atom:title", "atom:id", "atom:updated", "atom:name", "atom:author", "x:title", "x:y", "TITLE"),
    *("PubDate", "width", "height", "image", "textInput", "textinput", "links"),
    *("author_detail", "content_encoded", "dc_creator", "rdf:value", "href", "gml:pos", "publisher"),
)  # fmt: skip
_TEXTS = (
    *("description", "description", "description", "summary", "summary", "content", "content", "content:encoded"),
    *("content:encoded", "title", "subtitle", "rights", "tagline", "copyright", "info", "body", "h:body", "fullitem"),
    *("abstract", "itunes:summary", "itunes:subtitle", "dc:description", "dc:rights", "media:description"),
    *("media:title", "dc:title", "feedburner:browserFriendly", "atom:content", "atom:summary"),
)  # fmt: skip
_HOLDERS = (
    *("author", "author", "source", "image", "textInput", "contributor", "itunes:owner", "media:group"),
    *("media:content", "item", "entry", "channel", "x:y", "where", "rdf:Seq", "itunes:category", "atom:author"),
    *("feed", "rss", "rdf:RDF", "items", "skipHours", "category", "psc:chapters"),
)  # fmt: skip
_INLINE = (
    *("b", "p", "div", "br", "img", "a", "h:div", "h:p", "h:b", "x:i", "DIV", "P", "span", "h:a", "table", "x:div"),
)  # fmt: skip

_PEOPLE = (
    "<author><name>{}</name><email>{}</email></author>",
    "<itunes:owner><itunes:email>{}</itunes:email><itunes:name>{}</itunes:name></itunes:owner>",
    "<author>{}<uri>{}</uri></author>",
    "<contributor><name>{}</name><email>{}</email></contributor>",
)
_CHARACTERS = (
    *("word", "word two", " ", "\n  ", "\t", "", "\r\n", "true", "daily", "60", "0", "-1", "en", "de_AT", "x" * 300),
    *("&lt;b>x&lt;/b>", "&lt;div>y&lt;/div>", "&lt;/p>", "&#60;i&#62;", "&lt;", "&gt;", "&quot;q&apos;", "&amp;lt;"),
    *("&amp;amp;", "a &amp; b &amp;copy; c", "&amp;bogus;", "&amp;#8217;", "&lt;blink>z&lt;/blink>", "&lt;br/>"),
    *("<![CDATA[<p>c</p>]]>", "<![CDATA[a&amp;b]]>", "<![CDATA[]]>", "<![CDATA[ ]]>", "<![CDATA[]]]]><![CDATA[>]]>"),
    *("<!-- c -->", "<?pi x?>", "<!-- <b> -->", "<?xml-stylesheet a?>", "&lt;!-- d -->", "<![CDATA[<!--]]>"),
    *("a@b.example (Name)", "Name &lt;a@b.example>", "a@b.example", "(a@b.example)", "Name", "B &amp; C"),
    *("a@b.example?subject=x", "&amp;lt;a@b.example&amp;gt;", "a@[1.2.3.4]", "(", ")", "a@b.example () Name", "A, B"),
    *("2020-01-10T10:00:00Z", "Fri, 10 Jan 2020 10:00:00 GMT", "10.1.2020", "2020-13-40", "1" * 250),
    *("2020-01", "20200110"),
    *("Fri, 10 Jan 20 10:00 EST", "2020-01-10T10:00:00.123+05:30", "10 janvier 2020", "1578650400"),
    *("Jan 2020", "2020W02"),
    *("http://a.example/?a=1&amp;b=2", "/rel/x?y=1&amp;z;=2", "http:////a//b", "mailto:x@y.example", "http://[bad"),
    *("http://A.example", "//n.example/q", "?q", "#f", "../up", "urn:uuid:1", "tag:a.example,2020:1", "javascript:x"),
    *("http://a.example/&#228;", "http://a.example/a b", "feed:http://a.example/", "http://a.example/&amp;amp;c=1"),
    *("é", "Ã©", "&#146;", "x\x85y", "\u2028", "漢", "&#x1F600;", "\u00a0z\u00a0", "\u200b", "\ufeff", "Â ", "â€™"),
    *("&#x80;", "ÿ", "\u0131\u0130", "&#10;", "&#13;", "&#9;", "&#32;a&#32;", "&#0;", "&#1;"),
    *("&#xD83D;&#xDE00;", "\x0b"),
    *("12:30:15", "45.256 -71.92", "90", "1", "http://a.example/1", "http://a.example/2"),
)  # fmt: skip
_TYPES = (
    *("text", "html", "xhtml", "TEXT", "HTML", "text/html", "text/plain", "application/xhtml+xml", "plain"),
    *("text", "html", "xhtml", "text/html", "text/plain", "application/xhtml+xml"),
    *(
        "",
        "text/xml",
        "application/xml",
        "image/png",
        "application/atom+xml",
        "text/HTML ",
        "application/pdf",
    ),
)
_RELATIONS = (
    "alternate",
    "self",
    "next",
    "ALTERNATE",
    "enclosure",
    "prev-archive",
    "license",
    "related",
    "hub",
    "",
)
_LINKS = (
    *(
        "/x",
        "http://h.example/p",
        "http:///a",
        "mailto:a@b.example",
        "http://[x",
        "?q=1&r",
        "../c/",
        "c/",
        "",
    ),
    *("//n.example/", "javascript:x", "http://base.example/a/b"),
)
_LANGUAGES = ("de", "", "en_US", "fr-FR", "x y")
_FLAGS = ("true", "false", "TRUE", "")
_VALUES = (*_LINKS, *_TYPES, *_LANGUAGES, "urn:1", "a&b<", "q'\"", "é", " z ", "t", "a\n b\tc", "12:30")
_ATTRIBUTES: tuple[tuple[str, Sequence[str]], ...] = (
    *(("type", _TYPES), ("type", _TYPES), ("type", _TYPES[:3]), ("type", _TYPES[:3]), ("Type", _TYPES)),
    *(("href", _LINKS), ("href", _LINKS), ("href", _LINKS), ("HREF", _LINKS), ("xlink:href", _LINKS), ("src", _LINKS)),
    *(("rel", _RELATIONS), ("rel", _RELATIONS), ("REL", _RELATIONS), ("url", _LINKS), ("uri", _LINKS)),
    *(("isPermaLink", _FLAGS), ("isPermaLink", _FLAGS), ("ispermalink", _FLAGS), ("mode", ("base64", "xml"))),
    *(("xml:base", _LINKS), ("xml:base", _LINKS), ("base", _LINKS), ("Base", _LINKS), ("xml:space", _VALUES)),
    *(("xml:lang", _LANGUAGES), ("xml:lang", _LANGUAGES), ("lang", _LANGUAGES), ("version", ("2.0", "0.91", "x"))),
    *(("rdf:about", _VALUES), ("rdf:resource", _VALUES), ("class", _VALUES), ("CLASS", _VALUES), ("x:y", _VALUES)),
    *(("term", _VALUES), ("text", _VALUES), ("name", _VALUES), ("domain", _VALUES), ("label", _VALUES)),
    *(("start", _VALUES), ("a", _VALUES), ("media:type", _TYPES), ("x:type", _TYPES), ("atom:href", _LINKS)),
    *(("title", _VALUES), ("id", _VALUES), ("length", _VALUES), ("role", _VALUES)),
)  # fmt: skip
# What a feed, its channel or an entry has; with others, they are CDF's.
_OF_HOLDERS = tuple((name, values) for name, values in _ATTRIBUTES if name.lower() not in ("href", "lastmod"))
_PREFIXES = ("xmlns", "xmlns", *(f"xmlns:{prefix}" for prefix in (*_BOUND, "new", "Dc", "a.b", "title")))
_ROOTS: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (
    *((("rss", "channel"), {"version": version}) for version in ("2.0", "2.0", "2.0", "0.91", "1.0", "")),
    *((("rss", "channel"), {}), (("rss",), {}), (("rss", "channel"), {"xmlns": "http://backend.userland.com/rss2"})),
    *((("RSS", "Channel"), {"xmlns": "urn:another"}), (("rss", "channel"), {"xmlns": ATOM}), (("feed",), {})),
    *((("feed",), {"xmlns": ATOM}), (("feed",), {"xmlns": ATOM}), (("feed",), {"xmlns": ATOM}), (("atom:feed",), {})),
    *((("feed",), {"xmlns": "http://purl.org/atom/ns#", "version": "0.3"}), (("rdf:RDF",), {"xmlns": RSS_1})),
    *((("rdf:RDF", "channel"), {"xmlns": RSS_1}), (("rdf:RDF",), {"xmlns": "http://my.netscape.com/rdf/simple/0.9/"})),
)  # fmt: skip
_DECLARED = "<?xml version='1.0' encoding='{}'?>"
_HEADS = (
    *(
        "",
        "",
        "",
        *[f"{_DECLARED}\n"] * 24,
        _DECLARED,
        '<?xml version="1.0"?>\r\n',
        " \n<?xml version='1.0'?>",
    ),
    *("<?xml-stylesheet a?>", "\ufeff", "\n \ufeff", "<!-- a -->", "<?xml version='1.1'?>", "<?xml?>"),
    *(
        "<!DOCTYPE rss>",
        f"{_DECLARED}\n<!DOCTYPE rss PUBLIC '-//Netscape//RSS 0.91' 'a'>\n",
        f"{_DECLARED}<!DOCTYPE a>",
    ),
    *("<!DOCTYPE rss [<!ENTITY nbsp '&#160;'>]>", "<!--\n<!DOCTYPE a>\n-->"),
)
# What is declared, and what it is.
_ENCODINGS = (
    *[("utf-8", "utf-8")] * 10,
    *(("UTF-8", "utf-8-sig"), ("utf-16", "utf-16"), ("utf-16", "utf-8"), ("utf-16le", "utf-16-le")),
    *(("nonsense", "utf-8"), ("iso-8859-1", "latin-1"), ("iso-8859-1", "utf-8"), ("windows-1252", "cp1252")),
    *(("utf-8", "cp1252"), ("us-ascii", "utf-8"), ("shift_jis", "cp932"), ("gb2312", "gb18030")),
    *(("koi8-r", "koi8-r"), ("utf-7", "utf-8"), ("utf-32", "utf-32")),
)
_CONTENT_TYPES = (
    *(None, None, None, "text/xml", "application/rss+xml; charset=utf-8", "text/xml; charset=iso-8859-1", "text/html"),
    *("application/json", "text/xml; charset='UTF-16'", "; charset=nonsense"),
)  # fmt: skip
_URLS = (
    *("https://example.org/dir/feed.xml?a=b", "https://example.org/dir/feed.xml?a=b", "http://example.org"),
    *("HTTPS://Example.org/a/../b#c", "feed.xml", "http://[bad/", "file:///a"),
)  # fmt: skip


class Composed(NamedTuple):
    """A document, where it came from and what it was served as."""

    body: bytes
    url: str
    content_type: str | None


def composed(data: bytes) -> Composed:
    """The feed that `data` plans; any bytes plan one. Takes time in proportion to their number."""
    plan = iter(data)
    declared, encoding = _one(_ENCODINGS, plan)
    head = _one(_HEADS, plan).format(declared)
    url, content_type = _one(_URLS, plan), _one(_CONTENT_TYPES, plan)
    text = head + _document(plan)
    # References stand for what the encoding does not have.
    return Composed(text.encode(encoding, "xmlcharrefreplace"), url, content_type)


def _document(plan: Iterator[int]) -> str:
    path, own = _one(_ROOTS, plan)
    bound = dict(_BOUND)
    # Seldom, one of the usual prefixes stands for something else.
    if next(plan, 0) % 8 == 1:
        bound[_one(tuple(bound), plan)] = _one([uri for uri in _NAMESPACES if uri], plan)
    declared = {f"xmlns:{prefix}": uri for prefix, uri in bound.items()}
    begun = f"<{path[0]}{_written({**_attributes(plan, _OF_HOLDERS), **declared, **own})}>"
    return begun + "".join(f"<{name}>" for name in path[1:]) + "".join(_steps(plan, list(path)))


def _steps(plan: Iterator[int], still_open: list[str]) -> Iterator[str]:
    fixed = len(still_open)
    depth_of_text = 0
    for step in plan:
        in_text = 0 < depth_of_text <= len(still_open)
        if step < 100:
            yield from _leaf(plan, step, in_text=in_text)
        elif step < 130:
            yield _character(plan)
        elif step < 160 and len(still_open) > fixed:
            yield f"</{still_open.pop()}>"
        elif step < 190:
            yield from (f"</{still_open.pop()}>" for _ in range(len(still_open) - fixed))
            still_open.append("entry" if still_open[0].endswith("feed") else "item")
            yield f"<{still_open[-1]}{_written(_attributes(plan, _OF_HOLDERS) if step < 170 else {})}>"
        elif step < 195:
            yield _one(_PEOPLE, plan).format(_character(plan), _character(plan))
        else:
            names = _INLINE if in_text and step < 250 else (_TEXTS if step < 220 else _HOLDERS)
            if names is _TEXTS and not in_text:
                depth_of_text = len(still_open) + 1
            still_open.append(_one(names, plan))
            attributes = _attributes(plan, _OF_HOLDERS if names is _HOLDERS else _ATTRIBUTES)
            yield f"<{still_open[-1]}{_written(attributes)}>"
    yield from (f"</{name}>" for name in reversed(still_open))


def _leaf(plan: Iterator[int], step: int, *, in_text: bool) -> Iterator[str]:
    names = _INLINE if in_text and step < 95 else (_LINES if step < 65 else _TEXTS)
    name = _one(names, plan)
    attributes = _written(_attributes(plan))
    inside = "".join(_character(plan) for _ in range(step % 3))
    yield f"<{name}{attributes}>{inside}</{name}>" if inside or step % 2 else f"<{name}{attributes}/>"


def _attributes(plan: Iterator[int], of: Sequence[tuple[str, Sequence[str]]] = _ATTRIBUTES) -> dict[str, str]:
    amount = next(plan, 0)
    found: dict[str, str] = {}
    for _ in range(0 if amount < 110 else 1 + amount % 3):
        name, values = _one(of, plan)
        found[name] = _one(values, plan)
    if amount >= 240:
        prefix, uri = _one(_PREFIXES, plan), _one(_NAMESPACES, plan)
        # Only the default can be no namespace.
        found[prefix] = uri if uri or prefix == "xmlns" else "urn:nobody"
    return found


def _written(attributes: dict[str, str]) -> str:
    return "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())


def _character(plan: Iterator[int]) -> str:
    return _one(_CHARACTERS, plan)


def _one(of: Sequence[T], plan: Iterator[int]) -> T:
    return of[next(plan, 0) % len(of)]
