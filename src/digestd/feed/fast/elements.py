"""What begins and ends with each element that feedparser knows: of RSS, RDF, Atom and what is mixed into them.

Elements whose text nobody asks for are here as far as they change where other text goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from digestd.feed.fast import links, people
from digestd.feed.fast.doubt import Doubt
from digestd.feed.fast.state import Attributes, State
from digestd.feed.fast.values import content_type

Start: TypeAlias = Callable[[State, Attributes], None]
End: TypeAlias = Callable[[State], None]

_TEXT_TYPES = frozenset({"text/plain", "text/html", "application/xhtml+xml"})
_RSS_VERSIONS = {"0.91": "rss091u", "0.92": "rss092", "0.93": "rss093", "0.94": "rss094"}
_ATOM_VERSIONS = {"0.1": "atom01", "0.2": "atom02", "0.3": "atom03"}


def _start_rss(state: State, attributes: Attributes) -> None:
    if not state.names.version.startswith("rss"):
        written = attributes.get("version", "")
        state.names.version = _RSS_VERSIONS.get(written) or ("rss20" if written.startswith("2.") else "rss")


def _start_channel(state: State, attributes: Attributes) -> None:
    state.in_feed = True
    _refuse_cdf(attributes)


def _start_feed(state: State, attributes: Attributes) -> None:
    state.in_feed = True
    if not state.names.version:
        state.names.version = _ATOM_VERSIONS.get(attributes.get("version", ""), "atom")


def _end_feed(state: State) -> None:
    state.in_feed = False


def _refuse_cdf(attributes: Attributes) -> None:
    if "lastmod" in attributes or "href" in attributes:
        raise Doubt("CDF")


def _start_item(state: State, attributes: Attributes) -> None:
    state.begin_entry()
    state.push("item", kept=False)
    state.guid_is_link = False
    state.title_depth = -1
    about = attributes.get(state.names.standard("rdf:about"))
    if about:
        state.context()["id"] = about
    _refuse_cdf(attributes)


def _end_item(state: State) -> None:
    state.pop("item")
    state.in_entry = state.has_content = False


def _start_image(state: State, attributes: Attributes) -> None:
    context = state.context()
    if not state.in_entry:
        context.setdefault("image", {})
    state.in_image = True
    state.title_depth = -1
    state.push("image", kept=False)


def _end_image(state: State) -> None:
    state.pop("image")
    state.in_image = False


def _start_text_input(state: State, attributes: Attributes) -> None:
    state.context().setdefault("textinput", {})
    if "textinput" not in state.feed:
        raise Doubt("a text input of an entry")
    state.in_text_input = True
    state.title_depth = -1
    state.push("textinput", kept=False)


def _end_text_input(state: State) -> None:
    state.pop("textinput")
    state.in_text_input = False


def _start_source(state: State, attributes: Attributes) -> None:
    state.push("source")
    state.in_source = True
    state.title_depth = -1


def _end_source(state: State) -> None:
    state.in_source = False
    state.pop("source")
    state.source = {}


def _start_title(state: State, attributes: Attributes) -> None:
    state.push_content("title", attributes, "text/plain", kept=state.wants_text)


def _end_title(state: State) -> None:
    if state.pop_content("title"):
        state.title_depth = state.depth


def _end_media_title(state: State) -> None:
    depth = state.title_depth
    _end_title(state)
    state.title_depth = depth


def _is_second_summary(state: State) -> bool:
    return "summary" in state.context() and not state.has_content


def _start_description(state: State, attributes: Attributes) -> None:
    if _is_second_summary(state):
        state.summary_as = "content"
        _start_content(state, attributes)
    else:
        state.push_content("description", attributes, "text/html", kept=state.wants_text)


def _start_abstract(state: State, attributes: Attributes) -> None:
    state.push_content("description", attributes, "text/plain", kept=state.wants_text)


def _end_description(state: State) -> None:
    if state.summary_as == "content":
        _end_content(state)
    else:
        state.pop_content("description")
    state.summary_as = None


def _start_summary(state: State, attributes: Attributes) -> None:
    if _is_second_summary(state):
        state.summary_as = "content"
        _start_content(state, attributes)
    else:
        state.summary_as = "summary"
        state.push_content("summary", attributes, "text/plain", kept=True)


def _end_summary(state: State) -> None:
    if state.summary_as == "content":
        _end_content(state)
    else:
        state.pop_content("summary")
    state.summary_as = None


def _start_content(state: State, attributes: Attributes) -> None:
    state.has_content = True
    state.push_content("content", attributes, "text/plain", kept=True)
    # Once more, and one of them stays: from here on, text outside of others goes there.
    state.push("content")


def _start_body(state: State, attributes: Attributes) -> None:
    state.push_content("content", attributes, "application/xhtml+xml", kept=True)


def _start_encoded(state: State, attributes: Attributes) -> None:
    state.has_content = True
    state.push_content("content", attributes, "text/html", kept=True)


def _end_content(state: State) -> None:
    if "type" not in state.content:
        raise Doubt("the end of content that did not begin")
    may_be_summary = content_type(state.content["type"]) in _TEXT_TYPES
    text = state.pop_content("content")
    if text is None:
        raise Doubt("content that ended in another")
    if may_be_summary:
        state.context().setdefault("summary", text)


def _start_category(state: State, attributes: Attributes) -> None:
    state.context()["tags"] = True
    state.push("category", kept=False)


def _end_category(state: State) -> None:
    if state.pop("category") and "tags" not in state.context():
        raise Doubt("a category that ended elsewhere")


def _start_owned_image(state: State, attributes: Attributes) -> None:
    state.push("itunes_image", kept=False)
    if attributes.get("href") or attributes.get("url"):
        state.context()["image"] = {}


def _start_chapters(state: State, attributes: Attributes) -> None:
    if "psc_chapters" not in state.context():
        state.in_chapters = True
        state.context()["psc_chapters"] = True


def _end_chapters(state: State) -> None:
    state.in_chapters = False


def _start_chapter(state: State, attributes: Attributes) -> None:
    if state.in_chapters and not ("start" in attributes and "psc_chapters" in state.context()):
        raise Doubt("a chapter without a place")


def _content(element: str) -> tuple[Start, End]:
    """What may be markup, and is of no use."""

    def start(state: State, attributes: Attributes) -> None:
        state.push_content(element, attributes, "text/plain", kept=True)

    def end(state: State) -> None:
        state.pop_content(element)

    return start, end


def _text(element: str) -> tuple[Start, End]:
    def start(state: State, attributes: Attributes) -> None:
        state.push(element)

    def end(state: State) -> None:
        state.pop(element)

    return start, end


def _closed(element: str, *, must_begin: bool = False) -> tuple[Start, End]:
    """Text of no use. feedparser raises where another element begins in it and what is around it ends there."""

    def start(state: State, attributes: Attributes) -> None:
        state.push(element)
        state.closed = True

    def end(state: State) -> None:
        if state.pop(element) is None and must_begin:
            raise Doubt("the end of what did not begin")

    return start, end


def _nothing(state: State, attributes: Attributes) -> None:
    """What has all it says in its attributes, or in the elements in it."""


def _doubt(state: State, attributes: Attributes) -> None:
    raise Doubt("an element that is not read here")


def _doubt_end(state: State) -> None:
    raise Doubt("an element that is not read here")


_CATEGORY = (_start_category, _end_category)
_PAIRS: Mapping[str, tuple[Start, End]] = {
    "image": (_start_image, _end_image),
    "textinput": (_start_text_input, _end_text_input),
    "source": (_start_source, _end_source),
    **dict.fromkeys(("language", "dc_language"), _text("language")),
    "summary": (_start_summary, _end_summary),
    "itunes_summary": (_start_summary, _end_summary),
    "abstract": (_start_abstract, _end_description),
    "content": (_start_content, _end_content),
    "media_title": (_start_title, _end_media_title),
    **dict.fromkeys(("item", "entry"), (_start_item, _end_item)),
    **dict.fromkeys(("title", "dc_title"), (_start_title, _end_title)),
    **dict.fromkeys(
        ("description", "dc_description", "media_description"), (_start_description, _end_description)
    ),
    **dict.fromkeys(("body", "xhtml_body"), (_start_body, _end_content)),
    **dict.fromkeys(("content_encoded", "fullitem"), (_start_encoded, _end_content)),
    **dict.fromkeys(("published", "issued", "pubdate", "dcterms_issued"), _text("published")),
    **dict.fromkeys(
        ("updated", "modified", "lastbuilddate", "dc_date", "dcterms_modified"), _text("updated")
    ),
    **dict.fromkeys(("created", "dcterms_created"), _text("created")),
    **dict.fromkeys(("subtitle", "tagline", "itunes_subtitle"), _content("subtitle")),
    **dict.fromkeys(("rights", "copyright", "dc_rights"), _content("rights")),
    **dict.fromkeys(("info", "feedburner_browserfriendly"), _content("info")),
    **dict.fromkeys(("category", "keywords", "dc_subject", "media_category", "itunes_category"), _CATEGORY),
    **dict.fromkeys(("where", "georss_where"), _text("where")),
    **dict.fromkeys((f"georss_{form}" for form in ("point", "line", "polygon", "box")), _closed("geometry")),
    "expirationdate": _text("expired"),
    "dcterms_valid": _text("validity"),
    "generator": _text("generator"),
    "newlocation": _text("newlocation"),
    "tags": _closed("tags"),
    "width": _closed("width", must_begin=True),
    "height": _closed("height", must_begin=True),
    "media_rating": _closed("rating"),
    "media_credit": _closed("credit"),
    "media_restriction": _closed("restriction"),
    "media_license": _closed("license"),
    "media_thumbnail": _closed("url"),
    "media_player": _closed("media_player", must_begin=True),
}

STARTS: Mapping[str, Start] = {
    **{key: start for key, (start, _) in _PAIRS.items()},
    **people.STARTS,
    **links.STARTS,
    "rss": _start_rss,
    "feed": _start_feed,
    "channel": _start_channel,
    **dict.fromkeys(("itunes_image", "itunes_link"), _start_owned_image),
    **dict.fromkeys(("cloud", "media_group", "media_content"), _nothing),
    "psc_chapters": _start_chapters,
    "psc_chapter": _start_chapter,
    "georssgeom": _doubt,
    **dict.fromkeys((f"gml_{name}" for name in ("point", "linestring", "polygon", "exterior")), _doubt),
    **dict.fromkeys((f"gml_{name}" for name in ("linearring", "pos", "poslist")), _doubt),
}
"""What is done at the beginning of an element, by the name that feedparser's handler for it has."""

ENDS: Mapping[str, End] = {
    **{key: end for key, (_, end) in _PAIRS.items()},
    **people.ENDS,
    **links.ENDS,
    **dict.fromkeys(("feed", "channel"), _end_feed),
    "psc_chapters": _end_chapters,
    "geom": _doubt_end,
    **dict.fromkeys((f"gml_{name}" for name in ("point", "linestring", "polygon", "exterior")), _doubt_end),
    **dict.fromkeys((f"gml_{name}" for name in ("linearring", "pos", "poslist")), _doubt_end),
}
"""The same for its end. What has none here only ends its text, if it was ever begun."""
