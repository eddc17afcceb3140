"""The files `digestd init` writes: identical to conf/, complete, and a catalogue that keeps its rules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pydantic import BaseModel

from digestd.config.settings import Settings

TEMPLATES = files("digestd") / "templates"
CONF = Path(__file__).parents[1] / "conf"
CATEGORIES = {"cert", "vendor-advisory", "vuln-db", "exploit", "news", "research-blog", "community"}
# Keys whose default is worked out when digestd starts: they stand in the template behind a "#".
COMPUTED = {"database.url", "fetch.user_agent", "fetch.proxy", "extract.processes", "web.enabled"}
COMPUTED |= {"fetch.hosts", "retention.days", "retention.max_per_source", "web.hosts", "web.token"}
SECTIONS = ("worker", "database", "fetch", "extract", "retention", "web")
KEY = re.compile(r"  (# )?([a-z_]+): \S.*")


def template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def section_model(name: str) -> type[BaseModel]:
    model = Settings.model_fields[name].annotation
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    return model


@pytest.fixture(scope="module")
def settings_file() -> Mapping[str, Any]:
    loaded = yaml.safe_load(template("digestd.yaml"))
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture(scope="module")
def catalogue() -> list[dict[str, Any]]:
    loaded = yaml.safe_load(template("sources.yaml"))
    assert list(loaded) == ["sources"]
    sources = loaded["sources"]
    assert isinstance(sources, list)
    return sources


@pytest.mark.parametrize("name", ["digestd.yaml", "sources.yaml"])
def test_conf_holds_what_init_writes(name: str) -> None:
    assert (CONF / name).read_text(encoding="utf-8") == template(name)


def test_the_settings_file_names_its_catalogue(settings_file: Mapping[str, Any]) -> None:
    assert set(settings_file) == {*SECTIONS, "sources_files"}
    assert settings_file["sources_files"] == ["sources.yaml"]


@pytest.mark.parametrize("section", SECTIONS)
def test_active_keys_stand_at_their_defaults(settings_file: Mapping[str, Any], section: str) -> None:
    defaults = section_model(section)().model_dump()
    active = settings_file[section] or {}
    assert {key: defaults[key] for key in active} == active


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_stands_in_its_section(settings_file: Mapping[str, Any], section: str) -> None:
    keys = filter(None, map(KEY.fullmatch, section_lines(section)))
    commented = {key[2] for key in keys if key[1]}
    computed = {key.partition(".")[2] for key in COMPUTED if key.startswith(f"{section}.")}
    assert commented == computed
    assert set(settings_file[section] or {}) | commented == set(section_model(section).model_fields)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_has_a_comment_above(section: str) -> None:
    above = f"{section}:"
    for line in section_lines(section):
        assert not KEY.fullmatch(line) or above.startswith("  # "), f"{line!r} has no comment above it"
        above = line


def test_the_examples_behind_a_hash_are_valid_settings() -> None:
    examples = yaml.safe_load(re.sub(r"(?m)^  # (?=[a-z_]+: \S)", "  ", template("digestd.yaml")))
    for section in SECTIONS:
        section_model(section).model_validate(examples[section])


def test_the_catalogue_is_large_and_nothing_stands_in_it_twice(catalogue: list[dict[str, Any]]) -> None:
    assert len(catalogue) >= 60
    for key in ("name", "url"):
        counts = Counter(source[key].casefold().rstrip("/") for source in catalogue)
        assert [value for value, count in counts.items() if count > 1] == []


def test_every_source_is_whole(catalogue: list[dict[str, Any]]) -> None:
    for source in catalogue:
        assert {"name", "kind", "url", "category", "language"} <= set(source), source
        assert set(source) <= {"name", "kind", "url", "category", "language", "interval_seconds"}, source
        assert all(isinstance(source[key], str) for key in ("name", "url", "language")), source
        assert source["kind"] == "feed", source
        assert source["category"] in CATEGORIES, source
        assert re.fullmatch(r"[a-z]{2}(-[A-Z]{2})?", source["language"]), source
        assert source["name"] == source["name"].strip() != "", source
        assert source.get("interval_seconds", 3600) >= 3600, source


def test_every_url_is_https_with_a_public_name(catalogue: list[dict[str, Any]]) -> None:
    for source in catalogue:
        parts = urlsplit(source["url"])
        assert parts.scheme == "https", source
        assert parts.hostname is not None, source
        assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", parts.hostname), source
        assert parts.username is None, source
        assert parts.fragment == "", source


def test_sources_stand_by_category(catalogue: list[dict[str, Any]]) -> None:
    order = [source["category"] for source in catalogue]
    blocks = [
        category for position, category in enumerate(order) if order[position - 1 : position] != [category]
    ]
    assert len(blocks) == len(CATEGORIES)


def section_lines(section: str) -> list[str]:
    """The lines of the template between the head of `section` and the next one."""
    _, _, rest = template("digestd.yaml").partition(f"\n{section}:\n")
    return rest.partition("\n\n")[0].split("\n")
