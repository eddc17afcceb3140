"""Who wrote it: feedparser's way from names, addresses and mixtures of both to one author and a list of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from digestd.feed.fast.state import Attributes, Part, State

# It is looked for only where the word before an @ begins: the same matches, in time by the length.
_ADDRESS = re.compile(
    r"(?<![a-zA-Z0-9_\-.+])[a-zA-Z0-9_\-.+]++@"
    r"(?:\[[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.|(?:[a-zA-Z0-9\-]+\.)+)"
    r"(?:[a-zA-Z]{2,4}|[0-9]{1,3})\]?(?:\?subject=\S+)?"
)


def start_author(state: State, attributes: Attributes) -> None:
    state.in_author = True
    state.push("author")
    state.context().setdefault("authors", []).append({})


def end_author(state: State) -> None:
    state.pop("author")
    state.in_author = False
    _agree(state.context())


def start_contributor(state: State, attributes: Attributes) -> None:
    state.in_contributor = True
    state.push("contributor", kept=False)


def end_contributor(state: State) -> None:
    state.pop("contributor")
    state.in_contributor = False


def start_named_contributor(state: State, attributes: Attributes) -> None:
    state.in_contributor = True
    state.push("name", kept=False)


def end_named_contributor(state: State) -> None:
    end_name(state)
    state.in_contributor = False


def start_owner(state: State, attributes: Attributes) -> None:
    state.in_publisher = True
    state.push("publisher", kept=False)


def end_owner(state: State) -> None:
    state.pop("publisher")
    state.in_publisher = False


def start_publisher(state: State, attributes: Attributes) -> None:
    state.push("publisher")


def end_publisher(state: State) -> None:
    state.pop("publisher")


def start_name(state: State, attributes: Attributes) -> None:
    state.push("name", kept=False)


def end_name(state: State) -> None:
    name = state.pop("name")
    if state.in_publisher or state.in_author:
        _say(state, "name", name)


def start_email(state: State, attributes: Attributes) -> None:
    state.push("email", kept=False)


def end_email(state: State) -> None:
    email = state.pop("email")
    if state.in_publisher or state.in_author:
        _say(state, "email", email)


def start_address(state: State, attributes: Attributes) -> None:
    state.push("href")


def end_address(state: State) -> None:
    address = state.pop("href")
    if state.in_author:
        _say(state, "href", address)


def _say(state: State, what: str, text: str | None) -> None:
    """Say something of the last author. That of a publisher counts, too."""
    context = state.context()
    if not state.in_publisher:
        context.setdefault("author_detail", {})[what] = text
    _agree(context)
    context.setdefault("authors", [{}])[-1][what] = text


def _agree(context: Part) -> None:
    """Make the author what is said of the last of the authors; or the other way round, where nothing is.

    The detail then is that last one itself, so that what is said of later authors is said of it, too.
    """
    last: Part = context["authors"][-1] if "authors" in context else {}
    if last:
        name, email = last.get("name"), last.get("email")
        if name and email:
            context["author"] = f"{name} ({email})"
        elif name or email:
            context["author"] = name or email
        return
    written = context.get("author")
    if not written:
        return
    name, email = _told_apart(written)
    if name or email:
        context.setdefault("author_detail", last)
    if name:
        last["name"] = name
    if email:
        last["email"] = email


def _told_apart(written: str) -> tuple[str, str | None]:
    address = _ADDRESS.search(written) if "@" in written else None
    if address is None:
        return written, None
    name = written.replace(address[0], "").replace("()", "").replace("<>", "").replace("&lt;&gt;", "").strip()
    name = name.removeprefix("(").removesuffix(")")
    return name.strip(), address[0]


STARTS: Mapping[str, Callable[[State, Attributes], None]] = {
    **dict.fromkeys(("author", "managingeditor", "dc_author", "dc_creator", "itunes_author"), start_author),
    "contributor": start_contributor,
    "dc_contributor": start_named_contributor,
    "itunes_owner": start_owner,
    **dict.fromkeys(("webmaster", "dc_publisher"), start_publisher),
    **dict.fromkeys(("name", "itunes_name"), start_name),
    **dict.fromkeys(("email", "itunes_email"), start_email),
    **dict.fromkeys(("url", "homepage", "uri"), start_address),
}
ENDS: Mapping[str, Callable[[State], None]] = {
    **dict.fromkeys(("author", "managingeditor", "dc_author", "dc_creator", "itunes_author"), end_author),
    "contributor": end_contributor,
    "dc_contributor": end_named_contributor,
    "itunes_owner": end_owner,
    **dict.fromkeys(("webmaster", "dc_publisher"), end_publisher),
    **dict.fromkeys(("name", "itunes_name"), end_name),
    **dict.fromkeys(("email", "itunes_email"), end_email),
    **dict.fromkeys(("url", "homepage", "uri"), end_address),
}
