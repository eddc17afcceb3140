"""What feedparser calls an element: by its namespace where it knows that one, else by a prefix bound to it somewhere
before. It never forgets a prefix, so a name can change its meaning within a document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

from digestd.feed.fast.doubt import MOST_NAMES, MOST_PREFIXES, Doubt

S = TypeVar("S")

# In lower case. The names are as feedparser gives them, without regard to the prefix in the document.
_KNOWN = {
    "": "",
    "http://backend.userland.com/rss": "",
    "http://blogs.law.harvard.edu/tech/rss": "",
    "http://purl.org/rss/1.0/": "",
    "http://my.netscape.com/rdf/simple/0.9/": "",
    "http://example.com/newformat#": "",
    "http://example.com/necho": "",
    "http://purl.org/echo/": "",
    "uri/of/echo/namespace#": "",
    "http://purl.org/pie/": "",
    "http://purl.org/atom/ns#": "",
    "http://www.w3.org/2005/atom": "",
    "http://purl.org/rss/1.0/modules/rss091#": "",
    "http://webns.net/mvcb/": "admin",
    "http://purl.org/rss/1.0/modules/aggregation/": "ag",
    "http://purl.org/rss/1.0/modules/annotate/": "annotate",
    "http://media.tangent.org/rss/1.0/": "audio",
    "http://backend.userland.com/blogchannelmodule": "blogChannel",
    "http://creativecommons.org/ns#license": "cc",
    "http://web.resource.org/cc/": "cc",
    "http://cyber.law.harvard.edu/rss/creativecommonsrssmodule.html": "creativeCommons",
    "http://backend.userland.com/creativecommonsrssmodule": "creativeCommons",
    "http://purl.org/rss/1.0/modules/company": "co",
    "http://purl.org/rss/1.0/modules/content/": "content",
    "http://my.theinfo.org/changed/1.0/rss/": "cp",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://purl.org/dc/terms/": "dcterms",
    "http://purl.org/rss/1.0/modules/email/": "email",
    "http://purl.org/rss/1.0/modules/event/": "ev",
    "http://rssnamespace.org/feedburner/ext/1.0": "feedburner",
    "http://freshmeat.net/rss/fm/": "fm",
    "http://xmlns.com/foaf/0.1/": "foaf",
    "http://www.w3.org/2003/01/geo/wgs84_pos#": "geo",
    "http://www.georss.org/georss": "georss",
    "http://www.opengis.net/gml": "gml",
    "http://postneo.com/icbm/": "icbm",
    "http://purl.org/rss/1.0/modules/image/": "image",
    "http://www.itunes.com/dtds/podcast-1.0.dtd": "itunes",
    "http://example.com/dtds/podcast-1.0.dtd": "itunes",
    "http://purl.org/rss/1.0/modules/link/": "l",
    "http://search.yahoo.com/mrss": "media",
    "http://search.yahoo.com/mrss/": "media",
    "http://madskills.com/public/xml/rss/module/pingback/": "pingback",
    "http://prismstandard.org/namespaces/1.2/basic/": "prism",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#": "rdf",
    "http://www.w3.org/2000/01/rdf-schema#": "rdfs",
    "http://purl.org/rss/1.0/modules/reference/": "ref",
    "http://purl.org/rss/1.0/modules/richequiv/": "reqv",
    "http://purl.org/rss/1.0/modules/search/": "search",
    "http://purl.org/rss/1.0/modules/slash/": "slash",
    "http://schemas.xmlsoap.org/soap/envelope/": "soap",
    "http://purl.org/rss/1.0/modules/servicestatus/": "ss",
    "http://hacks.benhammersley.com/rss/streaming/": "str",
    "http://purl.org/rss/1.0/modules/subscription/": "sub",
    "http://purl.org/rss/1.0/modules/syndication/": "sy",
    "http://schemas.pocketsoap.com/rss/mydescmodule/": "szf",
    "http://purl.org/rss/1.0/modules/taxonomy/": "taxo",
    "http://purl.org/rss/1.0/modules/threading/": "thr",
    "http://purl.org/rss/1.0/modules/textinput/": "ti",
    "http://madskills.com/public/xml/rss/module/trackback/": "trackback",
    "http://wellformedweb.org/commentapi/": "wfw",
    "http://purl.org/rss/1.0/modules/wiki/": "wiki",
    "http://www.w3.org/1999/xhtml": "xhtml",
    "http://www.w3.org/1999/xlink": "xlink",
    "http://www.w3.org/xml/1998/namespace": "xml",
    "http://podlove.org/simple-chapters": "psc",
}
_USERLAND = "http://backend.userland.com/rss"
_XLINK = "http://www.w3.org/1999/xlink"

# Elements that do not end a text input or an image that was left open.
_OF_TEXT_INPUTS = frozenset({"title", "link", "description", "name"})
_OF_IMAGES = frozenset({"title", "link", "description", "url", "href", "width", "height"})

_VERSIONS = {"http://purl.org/rss/1.0/": "rss10", "http://www.w3.org/2005/atom": "atom10"}


class Name(NamedTuple, Generic[S]):
    """An element's name: `tag` as `prefix:name`, `inner` as it stands in content that is XHTML, `key` under which its
    text is kept, and what is done at its start and its end."""

    tag: str
    inner: str
    key: str
    ends_text_input: bool
    ends_image: bool
    start: Callable[[S, dict[str, str]], None] | None
    end: Callable[[S], None] | None


class Names(Generic[S]):
    """The names of one document, as its namespaces are declared.

    `starts` and `ends` say by key what is done with an element.
    """

    def __init__(
        self,
        starts: Mapping[str, Callable[[S, dict[str, str]], None]],
        ends: Mapping[str, Callable[[S], None]],
    ) -> None:
        self._starts, self._ends = starts, ends
        self._known_as: dict[str, str] = {}
        self._in_use: dict[str, str] = {}
        self._names: dict[str, Name[S]] = {}
        self.version = ""
        # feedparser has them as attributes of the next element.
        self.pending: dict[str, str] = {}

    def declare(self, prefix: str | None, uri: str | None) -> None:
        """Take note of a declaration: expat's StartNamespaceDecl."""
        if not uri:
            return
        self._track(prefix, uri)
        if prefix and uri == _XLINK:
            if prefix != prefix.lower():
                raise Doubt("XLink under a prefix in capitals")
            self.pending["xmlns:" + prefix] = uri

    def _track(self, prefix: str | None, uri: str) -> None:
        if uri.split() != [uri]:
            raise Doubt("white space in a namespace")
        lower = uri.lower()
        if not self.version:
            if prefix is None and lower == "http://my.netscape.com/rdf/simple/0.9/":
                self.version = "rss090"
            else:
                self.version = _VERSIONS.get(lower, "")
        if _USERLAND in lower:
            lower = uri = _USERLAND
        known = _KNOWN.get(lower)
        if known is not None:
            if prefix is not None and self._known_as.get(prefix) != known:
                self._known_as[prefix] = known
                self._names.clear()
            self._use(known, uri)
        else:
            self._use(prefix or "", uri)

    def _use(self, name: str, uri: str) -> None:
        # The name "" is in use, too, and never looked for.
        if self._in_use.get(name) == uri:
            return
        self._in_use[name] = uri
        if name:
            self._names.clear()
        if len(self._in_use) + len(self._known_as) > MOST_PREFIXES:
            raise Doubt("many namespaces")

    def name(self, written: str) -> Name[S]:
        """The name of the element that expat calls `written`: URI, local name and prefix between blanks."""
        found = self._names.get(written)
        if found is None:
            if len(self._names) >= MOST_NAMES:
                raise Doubt("many names of elements")
            found = self._names[written] = self._found(written)
        return found

    def standard(self, name: str) -> str:
        """`name`, which has a prefix, with the one by which feedparser knows what is bound to it here."""
        prefix, _, local = name.partition(":")
        return f"{self._known_as.get(prefix, prefix)}:{local}"

    def _found(self, written: str) -> Name[S]:
        parts = written.split(" ")
        uri, local = ("", written) if len(parts) == 1 else (parts[0], parts[1])
        local = local.lower()
        if local in ("svg", "math"):
            raise Doubt("SVG or MathML")
        prefix = self._prefix(uri)
        tag = f"{prefix}:{local}".lower() if prefix else local
        return self._described(tag)

    def _prefix(self, uri: str) -> str:
        lower = uri.lower()
        if _USERLAND in lower:
            return ""
        return _KNOWN.get(lower) or self._alias(uri)

    def _alias(self, uri: str) -> str:
        return next((name for name, used in self._in_use.items() if name and used == uri), "") if uri else ""

    def _described(self, tag: str) -> Name[S]:
        prefix, colon, suffix = tag.partition(":")
        prefix, suffix = (self._known_as.get(prefix, prefix), suffix) if colon else ("", tag)
        key = f"{prefix}_{suffix}" if prefix else suffix
        return Name(
            tag,
            tag.partition(":")[2] if colon else tag,
            key,
            not prefix and tag not in _OF_TEXT_INPUTS,
            not prefix and tag not in _OF_IMAGES,
            self._starts.get(key),
            self._ends.get(key),
        )


def attribute_names(written: str) -> tuple[str, str]:
    """The two names that feedparser gives an attribute which expat calls `written`: by its namespace, and as it was
    written."""
    uri, local, prefix = written.split(" ")
    known = _KNOWN.get(uri.lower(), "")
    return (f"{known}:{local}" if known else local).lower(), f"{prefix}:{local}".lower()
