"""`web.hosts`: the names that the web server answers by."""

from __future__ import annotations

from pathlib import Path

import pytest

from digestd.config import WebSettings, load
from digestd.errors import ConfigurationError

FORM = "must be names: [digestd.internal.example, digestd] in a file, digestd.internal.example,digestd in a variable"
NAME_FORM = "write a domain or host as it stands in URLs, without scheme, port and path: example.org"


def from_file(folder: Path, text: str) -> tuple[str, ...]:
    file = folder / "digestd.yaml"
    file.write_text(f"web: {{hosts: {text}}}")
    return load(file, {}, {"feed"}).settings.web.hosts


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("[Digestd.Internal.example, digestd, digestd]", ("digestd.internal.example", "digestd")),
        ("[digestd.]", ("digestd",)),
        ("['10.0.0.1', '[::1]']", ("10.0.0.1", "::1")),
        ("[]", ()),
    ],
)
def test_in_a_file(tmp_path: Path, text: str, hosts: tuple[str, ...]) -> None:
    assert from_file(tmp_path, text) == hosts


@pytest.mark.parametrize(("text", "hosts"), [("a.example, b", ("a.example", "b")), ("a", ("a",)), ("", ())])
def test_in_a_variable(text: str, hosts: tuple[str, ...]) -> None:
    assert load(Path("/dev/null"), {"WEB_HOSTS": text}, {"feed"}).settings.web.hosts == hosts


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("5", f"{FORM}, not a number"),
        ("{a: b}", f"{FORM}, not a dict"),
        ("[8080]", f"8080 is no text; {NAME_FORM}"),
        ("['digestd:8080']", f"'digestd:8080' is no domain or host; {NAME_FORM}"),
        ("['http://digestd']", f"'***' is no domain or host; {NAME_FORM}"),
        ("['*']", f"'*' is no domain or host; {NAME_FORM}"),
    ],
)
def test_what_is_no_name_is_told(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        from_file(tmp_path, text)
    assert caught.value.problems == (f"{tmp_path}/digestd.yaml: web.hosts: {problem}",)


def test_it_is_shown_as_words() -> None:
    shown = [WebSettings(hosts=hosts).model_dump()["hosts"] for hosts in ((), ("a", "b.example"))]
    assert shown == ["none", "a, b.example"]
