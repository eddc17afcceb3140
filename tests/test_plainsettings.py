"""What a health check reads of the settings, and that the daemon reads the same."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from digestd import config, healthcheck
from digestd.errors import ConfigurationError
from digestd.healthcheck import Asked
from digestd.plainsettings import web_listen
from support.process import run


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["health"], Asked(None)),
        (["health", "-c", "a.yaml"], Asked(Path("a.yaml"))),
        (["--config", "a.yaml", "health"], Asked(Path("a.yaml"))),
        (["-c", "health", "health"], Asked(Path("health"))),
        (["-c", "health"], None),
        (["health", "-c"], None),
        (["health", "--help"], None),
        (["health", "-ca.yaml"], None),
        (["health", "-c", "a.yaml", "-c", "b.yaml"], None),
        (["--log-level", "INFO", "health"], None),
        (["sources", "health"], None),
        ([], None),
    ],
)
def test_what_is_plainly_a_health_check_is_known_by_its_arguments(
    arguments: list[str], asked: Asked | None
) -> None:
    assert healthcheck.asked_by(arguments) == asked


def test_other_forms_and_mistakes_are_told_as_of_any_command(tmp_path: Path) -> None:
    assert "Ask the running daemon how it does" in run(["health", "--help"], tmp_path).stdout
    wrong = run(["health", "-c"], tmp_path)
    assert (wrong.returncode, "requires an argument" in wrong.stderr) == (2, True)
    (tmp_path / "off.yaml").write_text("web: {enabled: false}")
    other = run(["--log-level", "DEBUG", "health", "-coff.yaml"], tmp_path)
    assert (other.returncode, other.stderr) == (
        1,
        "digestd: web.enabled is false: the daemon answers nobody\n",
    )


@pytest.mark.parametrize(
    ("section", "environ", "listen"),
    [
        ({}, {}, "127.0.0.1:8080"),
        ({"listen": "[::]:80"}, {}, "[::]:80"),
        ({"listen": "[::]:80", "enabled": True}, {"WEB_LISTEN": "[::1]:9"}, "[::1]:9"),
        ({"enabled": False}, {}, None),
        ({"enabled": False}, {"WEB_ENABLED": "on"}, "127.0.0.1:8080"),
        ({"enabled": True}, {"WEB_ENABLED": "No"}, None),
        ({}, {"WEB_LISTEN_FILE": "listen"}, "10.0.0.1:1"),
        ({}, {"CREDENTIALS_DIRECTORY": "credentials"}, "10.0.0.2:2"),
        ({}, {"WEB_LISTEN_FILE": "listen", "CREDENTIALS_DIRECTORY": "credentials"}, "10.0.0.1:1"),
    ],
)
def test_the_daemon_listens_where_a_health_check_asks(
    section: Mapping[str, object],
    environ: Mapping[str, str],
    listen: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("digestd.yaml")
    file.write_text(yaml.safe_dump({"web": section}))
    Path("listen").write_text("10.0.0.1:1\n")
    Path("credentials").mkdir()
    Path("credentials/web_listen").write_text("10.0.0.2:2\n")
    for name in ("WEB_LISTEN", "WEB_ENABLED", "WEB_LISTEN_FILE", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    web = config.load(file, os.environ, ["feed"]).settings.web
    assert web_listen(file) == (None if web.enabled is False else web.listen) == listen


@pytest.mark.parametrize("listen", ["8080", "localhost", ":1", "a:99999", "a:²"])
def test_a_place_of_another_form_is_told_as_the_daemon_tells_it(
    listen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "digestd.yaml"
    file.write_text(yaml.safe_dump({"web": {"listen": listen}}))
    monkeypatch.delenv("WEB_LISTEN", raising=False)
    problem = "web.listen: must be an address and a port, as in 127.0.0.1:8080 or [::1]:8080"
    with pytest.raises(ConfigurationError) as caught:
        web_listen(file)
    assert caught.value.problems == (f"the settings: {problem}",)
    with pytest.raises(ConfigurationError) as caught:
        config.load(file, {}, ["feed"])
    assert caught.value.problems == (f"{file}: {problem}",)
