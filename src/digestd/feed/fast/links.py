"""Where an entry leads: links in attributes and as text, guids that are links, and licenses, which take part as the
last of the links, which another one may be written over."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from digestd.feed.fast.doubt import Doubt
from digestd.feed.fast.state import Attributes, State
from digestd.feed.fast.values import content_type, joined

_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_LICENSES = ("creativecommons_license", "creativeCommons_license")


def start_link(state: State, attributes: Attributes) -> None:
    relation = attributes.setdefault("rel", "alternate")
    kind = attributes.setdefault("type", "application/atom+xml" if relation == "self" else "text/html")
    context = state.context()
    link = _target(state, attributes)
    # Where it has no target of its own, one comes as its text.
    links = context.setdefault("links", [])
    if not (state.in_entry and state.in_image):
        links.append({"rel": relation} if link is None else {"rel": relation, "href": link})
    if link is None:
        state.push("link", kept=state.wants_text)
    elif relation == "alternate" and content_type(kind) in _HTML_TYPES:
        context["link"] = link


def _target(state: State, attributes: Attributes) -> str | None:
    written = attributes.get("url", attributes.get("uri", attributes.get("href"))) or attributes.get("href")
    return None if written is None else joined(state.base, written)


def end_link(state: State) -> None:
    state.pop("link")


def start_enclosure(state: State, attributes: Attributes) -> None:
    state.context().setdefault("links", []).append({"rel": "enclosure"})


def start_license(state: State, attributes: Attributes) -> None:
    state.context().setdefault("links", []).append({"rel": "license"})


def start_written_license(state: State, attributes: Attributes) -> None:
    state.push("license")


def end_written_license(state: State) -> None:
    state.pop("license")
    context = state.context()
    context.setdefault("links", []).append({"rel": "license"})
    del context["license"]


def start_guid(state: State, attributes: Attributes) -> None:
    state.guid_is_link = attributes.get("ispermalink", "true") == "true"
    state.push("id")


def end_guid(state: State) -> None:
    guid = state.pop("id")
    if state.guid_is_link is None or guid is None:
        raise Doubt("the end of a guid that did not begin")
    if state.guid_is_link:
        state.context().setdefault("link", guid)


STARTS: Mapping[str, Callable[[State, Attributes], None]] = {
    "link": start_link,
    "enclosure": start_enclosure,
    "cc_license": start_license,
    **dict.fromkeys(_LICENSES, start_written_license),
    **dict.fromkeys(("guid", "id"), start_guid),
}
ENDS: Mapping[str, Callable[[State], None]] = {
    "link": end_link,
    **dict.fromkeys(_LICENSES, end_written_license),
    **dict.fromkeys(("guid", "id"), end_guid),
}
