"""What a list of sources adds to those that are known already. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TypeAlias
from urllib.parse import urlsplit

from digestd.config.kind_options import SchemaOf
from digestd.config.sources import SourceList
from digestd.feed.lists.item import Item, ReadList, Told
from digestd.feed.lists.opml import LONGEST_NAME, printable
from digestd.feed.moving import normalised
from digestd.masking import mask_url
from digestd.model import SourceSpec

_LONGEST_HOST = 60

Place: TypeAlias = tuple[str, str]
"""Kind and URL: what makes two sources one."""


@dataclass(frozen=True, slots=True)
class Addition:
    """A source that is new, and the line that it stands on."""

    line: int
    spec: SourceSpec


@dataclass(slots=True)
class ImportPlan:
    """What becomes of a list: what is added, what is there already, what is wrong, and what is no source of ours."""

    added: list[Addition] = field(default_factory=list)
    present: list[Told] = field(default_factory=list)
    refused: list[Told] = field(default_factory=list)
    passed: list[Told] = field(default_factory=list)


class Known:
    """The sources that there are, by name and by place."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._places: dict[Place, str] = {}
        self._numbers: dict[str, int] = {}

    def add(self, spec: SourceSpec, effective_url: str | None = None, *, shown: str | None = None) -> None:
        """Remember `spec`, whose URL has moved to `effective_url`; `shown` is how it is told, its name by default."""
        self._names.add(spec.name)
        for url in filter(None, (spec.url, effective_url)):
            self._places.setdefault((spec.kind, normalised(url) or url), shown or repr(spec.name))

    def at(self, kind: str, url: str) -> str | None:
        """The source of this kind and URL in words; None if there is none."""
        return self._places.get((kind, normalised(url) or url))

    def free_name(self, wanted: str, url: str) -> str:
        """`wanted`, or where another source is called so, that with the host of `url` and, at need, a number."""
        if wanted not in self._names:
            return wanted
        host = printable(urlsplit(url).hostname or "", _LONGEST_HOST) or "another"
        while True:
            # Counted, not tried from the start: a list may have one name a hundred thousand times.
            stem = f"{wanted} ({host}"
            number = self._numbers[stem] = self._numbers.get(stem, 0) + 1
            ending = f" ({host})" if number == 1 else f" ({host} {number})"
            name = wanted[: LONGEST_NAME - len(ending)].rstrip() + ending
            if name not in self._names:
                return name


def plan_import(
    read: ReadList,
    known: Known,
    kinds: Collection[str],
    schema_of: SchemaOf,
    file: str,
    *,
    enabled: bool = True,
) -> ImportPlan:
    """Decide, item by item and in their order, what becomes of the list `read`, which stands in `file`.

    A source whose kind and URL are `known`, or stand further up, is there already. One that is new gets a name of its
    own: the same for the same list and the same known ones. `known` has the new ones afterwards. With `enabled` False
    all that is new is disabled.
    """
    plan = ImportPlan(passed=list(read.others))
    ask = cache(schema_of)
    for item in read.items:
        found = _checked(item, kinds, ask, file)
        if isinstance(found, str):
            plan.refused.append(Told(item.line, _label(item), found))
        elif (there := known.at(found.kind, found.url)) is not None:
            plan.present.append(Told(item.line, found.name, f"there already as {there}"))
        else:
            name = known.free_name(found.name, found.url)
            spec = replace(found, name=name, enabled=found.enabled and enabled)
            known.add(spec, shown=f"{name!r} (line {item.line})")
            plan.added.append(Addition(item.line, spec))
    return plan


def _checked(item: Item, kinds: Collection[str], schema_of: SchemaOf, file: str) -> SourceSpec | str:
    """The source that `item` describes, or what is wrong with it."""
    data = item.data
    if isinstance(data, dict) and data.get("name") == "":
        data = {**data, "name": _name_of(data.get("url"))}
    sources = SourceList(kinds, schema_of)
    problems = sources.take(data, file)
    if problems:
        return "; ".join(problems)
    if sources.literals:
        name = sources.specs[0].name
        places = ", ".join(place.removeprefix(f"{name}: ") for place in sorted(sources.literals))
        return f"{places}: a secret stands there as text, and is kept nowhere; give {{env: VARIABLE}} or {{file: PATH}}"
    return sources.specs[0]


def _name_of(url: object) -> str:
    """What a source without a name is called: where it is, without what may be a secret."""
    shown = mask_url(url).partition("//")[2].partition("?")[0] if isinstance(url, str) else ""
    return printable(shown.removeprefix("***@").rstrip("/"), LONGEST_NAME) or "unnamed"


def _label(item: Item) -> str:
    name = item.data.get("name") if isinstance(item.data, dict) else None
    return printable(name, LONGEST_NAME) if isinstance(name, str) else ""
