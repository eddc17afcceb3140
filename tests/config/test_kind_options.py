"""Each kind has options of its own: what is wrong with them is told like the rest, and their secrets are kept apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from digestd.config import checked_source, load
from digestd.config.kind_options import BaseURL, KindOptions, LocalPath, kept_options
from digestd.config.options import SecretValue
from digestd.config.secrets import Secrets
from digestd.errors import ConfigurationError
from digestd.model import SourceSpec


class BoardOptions(KindOptions):
    """A board's: its place is told by them."""

    boards: list[str] = Field(min_length=1)
    base_url: BaseURL = "https://board.example"
    least_points: int = Field(default=0, ge=0)
    key: SecretValue | None = None
    list_file: LocalPath | None = None

    def place(self, url: str | None) -> str:
        if url is not None:
            raise ValueError("leave it out: boards says where the source is")
        return f"{self.base_url}/{'+'.join(sorted(self.boards))}"


class ShelfOptions(KindOptions):
    """A shelf's: it needs a URL."""

    deep: bool = False


SCHEMAS: dict[str, type[BaseModel]] = {"board": BoardOptions, "shelf": ShelfOptions}
KINDS = ("board", "shelf", "foreign")


def checked(kind: str = "board", url: str | None = None, **options: Any) -> SourceSpec:
    data = {"name": "one", "kind": kind, "options": options} | ({} if url is None else {"url": url})
    return checked_source(data, KINDS, SCHEMAS.get)


def problems(kind: str = "board", url: str | None = None, **options: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        checked(kind, url, **options)
    return [line.removeprefix("(one): ") for line in raised.value.problems]


def test_the_url_is_what_the_kind_makes_of_the_options() -> None:
    one, other = checked(boards=["b", "a"]), checked(boards=["a", "b"])
    assert one.url == other.url == "https://board.example/a+b"
    assert checked(boards=["a"], base_url="http://127.0.0.1:8000/x/").url == "http://127.0.0.1:8000/x/a"
    assert checked("shelf", "https://shelf.example/").url == "https://shelf.example/"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"bords": ["a"]}, "options: bords: unknown option; did you mean boards?"),
        (
            {"boards": ["a"], "zzz": 1},
            "options: zzz: unknown option; those of the kind 'board': boards, base_url, least_points, key, list_file",
        ),
        ({"boards": ["a"], "contnet": "feed"}, "options: contnet: unknown option; did you mean content?"),
        ({}, "options.boards: missing; the kind 'board' needs it"),
        ({"boards": "a"}, "options.boards: should be a valid list, not 'a'"),
        ({"boards": [1]}, "options.boards.0: should be a valid string, not the number 1"),
        (
            {"boards": ["a"], "least_points": True},
            "options.least_points: should be a valid integer, not true"
            " (YAML reads yes, no, on and off as true and false: quote it if it is a word)",
        ),
        (
            {"boards": ["a"], "base_url": "board.example"},
            "options.base_url: must start with http:// or https://",
        ),
        (
            {"boards": ["a"], "base_url": "https://me:hunter2@board.example/"},
            "options.base_url: must not hold credentials; give them by options of their own",
        ),
        (
            {"boards": ["a"], "base_url": "https://board.example/?q"},
            "options.base_url: must be the beginning of a URL, without a query",
        ),
        (
            {"boards": ["a"], "key": 5},
            "options.key: must be text, {env: VARIABLE}, {file: PATH} or {credential: NAME} (quote a number)",
        ),
        ({"boards": ["a"], "list_file": 3}, "options.list_file: must be a path"),
        (
            {"boards": ["a b"]},
            "url: the options lead to a URL that cannot be asked: a URL holds no blanks or control characters",
        ),
    ],
)
def test_a_mistake_names_the_option_and_the_remedy(options: dict[str, Any], problem: str) -> None:
    assert problems(**options) == [problem]


def test_a_url_that_is_missing_or_too_much() -> None:
    assert problems("shelf") == ["url: missing; every source of the kind 'shelf' needs one"]
    assert problems("foreign") == ["url: missing; every source needs one"]
    assert problems(url="https://board.example/a", boards=["a"]) == [
        "url: leave it out: boards says where the source is"
    ]


def test_every_mistake_is_told_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "digestd.yaml"
    file.write_text(
        "sources:\n"
        "  - {name: one, kind: board, options: {boards: [], least_points: -1}}\n"
        "  - {name: two, kind: shelf, url: 'https://shelf.example/', options: {dep: true}}\n"
    )
    with pytest.raises(ConfigurationError) as raised:
        load(file, {}, KINDS, SCHEMAS.get)
    assert list(raised.value.problems) == [
        f"{file}: sources[0] (one): options.boards: must not be empty",
        f"{file}: sources[0] (one): options.least_points: should be greater than or equal to 0, not the number -1",
        f"{file}: sources[1] (two): options: dep: unknown option; did you mean deep?",
    ]


def test_a_kind_is_asked_for_its_options_once_and_only_where_it_is_used(tmp_path: Path) -> None:
    asked: list[str] = []

    def schema_of(kind: str) -> type[BaseModel] | None:
        asked.append(kind)
        return SCHEMAS[kind]

    file = tmp_path / "digestd.yaml"
    sources = "".join(f"  - {{name: s{n}, kind: shelf, url: 'https://s{n}.example/'}}\n" for n in range(3))
    file.write_text("sources:\n" + sources)
    assert len(load(file, {}, KINDS, schema_of).sources) == 3
    assert asked == ["shelf"]


def test_a_kind_without_a_schema_takes_what_can_be_stored() -> None:
    assert checked("foreign", "https://foreign.example/", anything=[1]).options == {"anything": [1]}
    assert problems("foreign", "https://foreign.example/", pagin=True) == [
        "options: pagin: unknown option; did you mean paging?"
    ]


def test_a_secret_of_a_kind_is_kept_as_a_reference_and_found_when_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "digestd.yaml"
    (tmp_path / "key").write_text("from a file\n")
    file.write_text(
        "sources:\n"
        "  - {name: written, kind: board, options: {boards: [a], key: hunter2hunter2}}\n"
        "  - {name: elsewhere, kind: board, options: {boards: [b], key: {file: key}}}\n"
        "  - {name: none, kind: board, options: {boards: [c]}}\n"
    )
    configuration = load(file, {}, KINDS, SCHEMAS.get)
    written, elsewhere, none = configuration.sources
    assert written.options["key"] == {"secret": {"setting": "written: key"}}
    assert elsewhere.options["key"] == {"secret": {"file": str(tmp_path / "key")}}
    secrets = configuration.secrets
    for spec, value in ((written, "hunter2hunter2"), (elsewhere, "from a file")):
        access = secrets.access_of(spec)
        assert access.secrets["key"].reveal() == value
        assert access.headers == {}
        assert access.redacted(f"it said {value}") == "it said ***"
    assert not secrets.wanted_by(none)
    with pytest.raises(ConfigurationError) as raised:
        Secrets({}, {}).access_of(written)
    assert str(raised.value) == (
        "source 'written': options: key: it stands in a settings file that this process has not read"
    )


def test_a_secret_that_goes_without_tls_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "digestd.yaml"
    file.write_text(
        "sources: [{name: one, kind: board, options: {boards: [a], base_url: 'http://board.example', key: hunter2}}]"
    )
    assert load(file, {}, KINDS, SCHEMAS.get).warnings == (
        "source 'one': its secrets are sent without TLS, for everyone on the way to read",
    )


def test_paths_are_seen_from_the_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "digestd.yaml"
    file.write_text("sources: [{name: one, kind: board, options: {boards: [a], list_file: lists/one.txt}}]")
    (spec,) = load(file, {}, KINDS, SCHEMAS.get).sources
    assert spec.options["list_file"] == str(tmp_path / "lists/one.txt")


def test_what_is_kept_is_what_the_kind_reads() -> None:
    spec = checked(boards=["a"], key="hunter2", content="feed", headers={"X-A": "b"})
    read = kept_options(BoardOptions, "board", spec.options)
    assert (read.boards, read.least_points) == (["a"], 0)
    with pytest.raises(ValueError, match=r"^options.boards: missing; the kind 'board' needs it$"):
        kept_options(BoardOptions, "board", {})
    with pytest.raises(ValueError, match=r"^options.old: unknown key; known keys: deep$"):
        kept_options(ShelfOptions, "shelf", {"old": 1})
