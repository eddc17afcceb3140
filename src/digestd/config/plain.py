"""PURE: sources that can be seen to be right at a glance, as nearly all of a long list are. Of all others nothing is
said here: they go the way that explains what is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from digestd.config.settings import LONGEST_SECONDS
from digestd.config.urls import MAX_URL_CHARACTERS, port_problem
from digestd.model import SourceSpec

_KEYS = frozenset(
    {"name", "kind", "url", "enabled", "category", "language", "interval_seconds", "jitter_seconds"}
)
_TEXTS = ("category", "language")
_SECONDS = (("interval_seconds", 1), ("jitter_seconds", 0))
_URL = re.compile(r"https?://[A-Za-z0-9._-]+(?::([0-9]{1,5}))?(?:[/?#][!-~]*)?")


def plain_spec(item: Any) -> SourceSpec | None:
    """The source that `item` describes, as it stands in a file, if it has a URL, no options, and nothing that would
    have to be explained; None where that is not sure.

    Whether there is its kind, with a need for options, and whether its name is its own, is for the caller to see.
    """
    if type(item) is not dict or not item.keys() <= _KEYS:
        return None
    name, url, kind = item.get("name"), item.get("url"), item.get("kind", "feed")
    if type(name) is not str or type(url) is not str or type(kind) is not str:
        return None
    if not (0 < len(name) <= 200 and name.isprintable() and name == name.strip() and is_plain_url(url)):
        return None
    if len(item) == 2:
        return SourceSpec(name, kind, url)
    return _with_more(item, name, kind, url)


def _with_more(item: Mapping[str, Any], name: str, kind: str, url: str) -> SourceSpec | None:
    more: dict[str, Any] = {}
    if "enabled" in item and type(more.setdefault("enabled", item["enabled"])) is not bool:
        return None
    for key in _TEXTS:
        text = more[key] = item.get(key)
        if text is not None and (type(text) is not str or not text.isprintable()):
            return None
    for key, least in _SECONDS:
        seconds = item.get(key)
        if seconds is None:
            continue
        # What is no number is greater than nothing, and less.
        if type(seconds) not in (int, float) or not least <= seconds <= LONGEST_SECONDS:
            return None
        more[key] = float(seconds)
    return SourceSpec(name, kind, url, **more)


def is_plain_url(url: str) -> bool:
    """Whether `url` is surely one of those that :func:`digestd.config.urls.url_problem` has nothing against."""
    found = _URL.fullmatch(url)
    if found is None or len(url) > MAX_URL_CHARACTERS:
        return False
    port = found[1]
    return port is None or (0 < int(port) <= 65_535 and port_problem(int(port)) is None)


def needs_no_options(schema: type[BaseModel] | None) -> bool:
    """Whether a source of the kind with this `schema` of options, which has a URL and no options, is right and is asked
    there."""
    if schema is None:
        return True
    try:
        model = schema.model_validate({}, strict=True)
    except ValidationError:
        return False
    return getattr(model, "place", None) is None
