"""`fetch.hosts`: what holds for single domains and hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from digestd.cli.setup import in_force
from digestd.config import load
from digestd.config.hosts import HostSettings
from digestd.errors import ConfigurationError

FORM = "must be a mapping such as {example.org: {concurrency: 1, delay_seconds: 30}}"
NAME = "write a domain or host as it stands in URLs, without scheme, port and path: example.org"


def from_file(folder: Path, text: str) -> dict[str, HostSettings]:
    file = folder / "digestd.yaml"
    file.write_text(f"fetch: {{hosts: {text}}}", encoding="utf-8")
    return dict(load(file, {}, {"feed"}).settings.fetch.hosts)


def test_names_are_read_as_urls_are(tmp_path: Path) -> None:
    text = "{Example.ORG.: {concurrency: 1}, '[::1]': {delay_seconds: 2}, 10.0.0.5: {}, a_b.local: {}}"
    assert from_file(tmp_path, text) == {
        "example.org": HostSettings(concurrency=1),
        "::1": HostSettings(delay_seconds=2),
        "10.0.0.5": HostSettings(),
        "a_b.local": HostSettings(),
    }


def test_none_are_named_unless_somebody_does(tmp_path: Path) -> None:
    assert from_file(tmp_path, "{}") == {}
    assert load(Path("/dev/null"), {}, {"feed"}).settings.fetch.hosts == {}


def test_a_variable_is_json() -> None:
    environ = {"FETCH_HOSTS": '{"example.org": {"concurrency": 3, "delay_seconds": 0.5}}'}
    hosts = load(Path("/dev/null"), environ, {"feed"}).settings.fetch.hosts
    assert hosts == {"example.org": HostSettings(concurrency=3, delay_seconds=0.5)}


@pytest.mark.parametrize("text", ["example.org", "{", "[" * 100_000])
def test_a_variable_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(Path("/dev/null"), {"FETCH_HOSTS": text}, {"feed"})
    assert raised.value.problems == (f"environment: FETCH_HOSTS: {FORM}, as JSON in a variable",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", f"{FORM}, not a list"),
        ("", f"{FORM}, not nothing"),
        ("{10.5: {}}", f"10.5 is no text; {NAME}"),
        ("{'https://example.org/': {}}", f"'***' is no domain or host; {NAME}"),
        ("{'example.org:80': {}}", f"'example.org:80' is no domain or host; {NAME}"),
        ("{'*.example.org': {}}", f"'*.example.org' is no domain or host; {NAME}"),
        ("{'a..b': {}}", f"'a..b' is no domain or host; {NAME}"),
        (f"{{{'x' * 300}: {{}}}}", f"'{'x' * 40}' is no domain or host; {NAME}"),
        (
            "{bücher.example: {}}",
            "'bücher.example' has letters of other alphabets; write its ASCII form (xn--…)",
        ),
        ("{a.b: {}, A.B: {}}", "a.b stands twice; keep one of them"),
        (
            "{a.b: 3}",
            "a.b: must be a mapping with concurrency and delay_seconds ({} for turns of its own alone), "
            "not a number",
        ),
        ("{a.b: {concurency: 3}}", "a.b: concurency: unknown key; did you mean concurrency?"),
        (
            "{a.b: {concurrency: 0, delay_seconds: -1}}",
            "a.b: concurrency: should be greater than or equal to 1, not the number 0; "
            "a.b: delay_seconds: should be greater than or equal to 0, not the number -1",
        ),
        (
            "{a.b: {delay_seconds: '3'}}",
            "a.b: delay_seconds: should be a valid number, not '3'",
        ),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        from_file(tmp_path, text)
    assert raised.value.problems == (f"{tmp_path}/digestd.yaml: fetch.hosts: {problem}",)


def test_check_shows_them(tmp_path: Path) -> None:
    file = tmp_path / "digestd.yaml"
    file.write_text(
        "fetch: {hosts: {example.org: {concurrency: 1, delay_seconds: 30}, blog.example.org: {}}}"
    )
    lines = in_force(load(file, {}, {"feed"}), "sqlite:///x")
    assert (
        "  hosts: example.org (concurrency 1, delay_seconds 30), blog.example.org (turns of its own)" in lines
    )
    assert "  hosts: none" in in_force(load(Path("/dev/null"), {}, {"feed"}), "sqlite:///x")
