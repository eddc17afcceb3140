"""Files and environment become settings; every mistake is one line naming file, key and remedy."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from digestd import config, plainsettings
from digestd.errors import ConfigurationError

KINDS = ("feed", "page")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "digestd.yaml"


def problems(file: Path, text: str, **environ: str) -> list[str]:
    """The mistakes found in `text`, with the path of the file left out."""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        config.load(file, environ, KINDS)
    return [line.replace(f"{file}: ", "").replace(f"{file.parent}/", "") for line in caught.value.problems]


def test_without_a_file_the_defaults_of_the_design_are_in_force() -> None:
    settings = config.Settings()
    assert settings.worker.model_dump() == {
        "interval_seconds": 300,
        "jitter_seconds": 60,
        "max_sources": 10,
        "log_level": "INFO",
        "log_format": "auto",
        "shutdown_grace_seconds": 8,
        "poll_timeout_seconds": 60,
        "adaptive": False,
        "adaptive_min_seconds": 300,
        "adaptive_max_seconds": 21_600,
    }
    assert settings.fetch.timeout_seconds == 30
    assert settings.fetch.max_body_bytes == 16 * 1024 * 1024
    assert settings.fetch.max_redirects == 5
    assert settings.fetch.allow_private_networks is False
    assert (settings.fetch.per_host_concurrency, settings.fetch.per_host_delay_seconds) == (2, 1)
    assert settings.web.listen == "127.0.0.1:8080"


def test_every_mistake_in_a_file_is_told_at_once(written: Path) -> None:
    text = """
worker: {intervall_seconds: 3, max_sources: true, jitter_seconds: soon, interval_seconds: 0.5}
databse: {}
fetch: 3
web: {listen: "8080"}
"""
    assert problems(written, text) == [
        "worker.interval_seconds: should be greater than or equal to 1, not the number 0.5",
        "worker.jitter_seconds: should be a valid number, not 'soon'",
        "worker.max_sources: should be a valid integer, not true"
        " (YAML reads yes, no, on and off as true and false: quote it if it is a word)",
        "worker.intervall_seconds: unknown key; did you mean interval_seconds?",
        "databse: unknown section; known sections: worker, database, fetch, extract, retention, web, sources, "
        "sources_files",
        "fetch: must be a mapping of keys, not a number",
        "web.listen: must be an address and a port, as in 127.0.0.1:8080 or [::1]:8080",
    ]


@pytest.mark.parametrize(
    "token",
    [
        "too-short",
        "'with a blank, and long'",
        "'ünïcødé-ünïcødé'",
        "'" + "x" * 201 + "'",
        "1234567890123456",
        "[1]",
    ],
)
def test_a_token_that_is_none_is_not_repeated(written: Path, token: str) -> None:
    assert problems(written, f"web: {{token: {token}}}") == [
        "web.token: must be text of 16 to 200 letters, digits and signs of ASCII without blanks, in quotation marks if "
        "it looks like a number; `openssl rand -hex 32` makes one"
    ]


def test_a_token_is_not_shown_with_the_settings(written: Path) -> None:
    written.write_text("web: {token: correct-horse-battery-staple}")
    settings = config.load(written, {}, KINDS).settings
    assert settings.web.token == "correct-horse-battery-staple"
    assert "horse" not in repr(settings)
    assert (
        config.load(written, {"WEB_TOKEN": "another-one-of-the-length"}, KINDS).settings.web.token
        != settings.web.token
    )


def test_every_mistake_in_the_sources_is_told_at_once(written: Path) -> None:
    text = """
sources:
  - {name: ftp, url: "ftp://example.com/"}
  - {name: blanks, url: "http://exa mple.com/"}
  - {name: kind, url: "http://example.com/", kind: fede}
  - {name: norway, url: "http://example.com/", language: no}
  - {name: twice, url: "http://example.com/"}
  - {name: twice, url: "http://example.com/"}
  - {url: "http://example.com/"}
  - {name: slip, url: "http://example.com/", intervall_seconds: 3}
  - just text
sources_files: [missing.yaml]
"""
    assert problems(written, text) == [
        "sources[0] (ftp): url: must start with http:// or https://",
        "sources[1] (blanks): url: a URL holds no blanks or control characters",
        "sources[2] (kind): kind: unknown kind 'fede'; did you mean 'feed'?",
        "sources[3] (norway): language: should be a valid string, not false"
        " (YAML reads yes, no, on and off as true and false: quote it if it is a word)",
        "sources[5] (twice): name: used before at sources[4]; every source needs a name of its own",
        "sources[6]: name: missing; every source needs one",
        "sources[7] (slip): intervall_seconds: unknown key; did you mean interval_seconds?",
        "sources[8]: must be a mapping with name and url, not text",
        "missing.yaml: there is no such file (`digestd init` writes a commented one)",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("worker: [", "line 2, column 1: not YAML: did not find expected node content"),
        ("- 1", "must be a mapping of sections, such as `worker:`"),
        ("sources: 3", "sources: must be a list of sources, each with name and url"),
        ("sources_files: 3", "sources_files: must be a list of file names, relative to this file"),
        ("worker: {3: 4}", "worker: unknown key; known keys: interval_seconds, jitter_seconds, max_sources, log_level, "
         "log_format, shutdown_grace_seconds, poll_timeout_seconds, adaptive, adaptive_min_seconds, "
         "adaptive_max_seconds"),
        ("database: {url: 'mysql://x'}", "database.url: must start with sqlite:/// (and the path of a file) or "
         "postgresql:// (and host/database)"),
        ("fetch: {proxy: 'ftp://x'}", "fetch.proxy: must start with http://, https:// or socks5://"),
        ("fetch: {user_agent: \"a\\nb\"}", "fetch.user_agent: must be one line of printable ASCII, since it is sent"
         " as an HTTP header"),
    ],
)  # fmt: skip
def test_a_mistake_names_key_and_remedy(written: Path, text: str, problem: str) -> None:
    assert problems(written, text) == [problem]


SECRET_URL = "https://user:hunter2@example.com/feed?token=hunter2"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("database: postgresql://user:hunter2@db/x", "database: must be a mapping of keys, not text"),
        ("database: [postgresql://user:hunter2@db/x]", "database: must be a mapping of keys, not a list"),
        (f"sources: ['{SECRET_URL}']", "sources[0]: must be a mapping with name and url, not text"),
        (
            f"worker: {{jitter_seconds: '{SECRET_URL}'}}",
            "worker.jitter_seconds: should be a valid number, not text",
        ),
        (
            "sources: [{name: a, url: 'http://a.example/', options: hunter2}]",
            "sources[0] (a): options: must be a mapping of keys, not text",
        ),
        (
            f"sources: [{{name: '{SECRET_URL}', url: 'http://a.example/', kind: feeed}}]",
            "sources[0] (***): kind: unknown kind 'feeed'; did you mean 'feed'?",
        ),
        (
            f"sources: [{{name: a, url: 'http://a.example/', kind: '{SECRET_URL}'}}]",
            "sources[0] (a): kind: unknown kind '***'; known kinds: feed, page",
        ),
        (
            "database: {url:postgresql://user:hunter2@db/x}",
            "database.url:***: a blank is missing behind the colon",
        ),
        (
            f"'{SECRET_URL}': 1",
            "https:***: unknown section; known sections: worker, database, fetch, extract, retention, web, sources, "
            "sources_files",
        ),
        (
            f"sources_files: ['{SECRET_URL}']",
            "sources_files: https://***@example.com/feed?token=***: must be a file, not a URL",
        ),
    ],
)
def test_no_mistake_shows_a_secret(written: Path, text: str, problem: str) -> None:
    assert problems(written, text) == [problem]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "SOURCES_FILES",
            "sources_files: https://***@example.com/feed?token=***: must be a file, not a URL",
        ),
        (
            "DATABASE_URL_FILE",
            "environment: DATABASE_URL_FILE: cannot read https://***@example.com/feed?token=***: "
            "No such file or directory",
        ),
        (
            "WORKER_MAX_SOURCES",
            "environment: WORKER_MAX_SOURCES: should be a valid integer, unable to parse string as an integer,"
            " not text",
        ),
    ],
)
def test_no_mistake_in_a_variable_shows_a_secret(written: Path, name: str, problem: str) -> None:
    assert problems(written, "", **{name: SECRET_URL}) == [problem]


def test_there_are_no_more_sources_than_one_statement_of_sqlite_takes(written: Path) -> None:
    assert problems(written, "worker: {max_sources: 10001}") == [
        "worker.max_sources: should be less than or equal to 10000, not the number 10001"
    ]


def test_an_unreadable_file_says_so(tmp_path: Path) -> None:
    for path, reason in (
        (tmp_path / "no.yaml", "there is no such file (`digestd init` writes a commented one)"),
        (tmp_path, "cannot be read: Is a directory"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            config.load(path, {}, KINDS)
        assert caught.value.problems == (f"{path}: {reason}",)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("worker: {} # gr\xfcn".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="it is not UTF-8 text"):
        config.load(latin, {}, KINDS)


@pytest.mark.parametrize(
    ("text", "place", "key"),
    [
        ("worker:\n  max_sources: 3\n  max_sources: 4\n", "line 3, column 3", "max_sources"),
        ("worker: {}\nfetch: {}\nworker: {}\n", "line 3, column 1", "worker"),
        ("sources:\n- {name: a, url: 'http://a.example/', name: b}\n", "line 2, column 39", "name"),
    ],
)
def test_a_key_that_stands_twice_is_a_mistake(written: Path, text: str, place: str, key: str) -> None:
    written.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        config.load(written, {}, KINDS)
    assert caught.value.problems == (f"{written}: {place}: '{key}' stands twice; keep one of them",)


def test_a_mapping_may_be_merged_and_overridden(written: Path) -> None:
    written.write_text(
        "sources:\n- &a {name: a, url: 'http://a.example/', category: x}\n"
        "- {<<: *a, name: b, url: 'http://b.example/'}\n"
    )
    assert [(spec.name, spec.category) for spec in config.load(written, {}, KINDS).sources] == [
        ("a", "x"),
        ("b", "x"),
    ]


def test_the_environment_wins_and_foreign_names_are_dropped(written: Path) -> None:
    written.write_text("worker: {max_sources: 3, interval_seconds: 20}")
    environ = {
        "WORKER_MAX_SOURCES": "7",
        "WORKER_LOG_LEVEL": "debug",
        "DATABASE_PORT": "tcp://10.0.0.1:5432",
        "WEB_CONCURRENCY": "4",
        "WORKER_INTERVAL_SECOND": "9",
        "FETCH_ALLOW_PRIVATE_NETWORKS": "true",
    }
    loaded = config.load(written, environ, KINDS)
    assert loaded.settings.worker.max_sources == 7
    assert loaded.settings.worker.interval_seconds == 20
    assert loaded.settings.worker.log_level == "DEBUG"
    assert loaded.settings.fetch.allow_private_networks is True
    assert loaded.from_environment == {
        "WORKER_MAX_SOURCES",
        "WORKER_LOG_LEVEL",
        "FETCH_ALLOW_PRIVATE_NETWORKS",
    }
    assert loaded.warnings == (
        "environment: WORKER_INTERVAL_SECOND is not a setting and is ignored; did you mean WORKER_INTERVAL_SECONDS?",
    )


def test_a_wrong_variable_is_named(written: Path) -> None:
    found = problems(written, "", WORKER_MAX_SOURCES="many", DATABASE_URL="mysql://root:secret@db/x")
    assert found == [
        "environment: WORKER_MAX_SOURCES: should be a valid integer, unable to parse string as an integer, not 'many'",
        "environment: DATABASE_URL: must start with sqlite:/// (and the path of a file) or postgresql:// (and"
        " host/database)",
    ]


def test_secrets_come_from_files(written: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("postgresql://digestd:secret@db/digestd\n")
    written.write_text("")
    loaded = config.load(written, {"DATABASE_URL_FILE": str(secret)}, KINDS)
    assert loaded.settings.database.url == "postgresql://digestd:secret@db/digestd"
    missing = tmp_path / "missing"
    assert problems(written, "", DATABASE_URL_FILE=str(missing)) == [
        f"environment: DATABASE_URL_FILE: cannot read {missing.name}: No such file or directory"
    ]


def test_sources_come_from_the_file_and_from_files_of_their_own(written: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.yaml").write_text("- {name: a, url: 'http://a.example/?x=1'}")
    (tmp_path / "more" / "b.yaml").write_text(
        "sources: [{name: b, url: 'http://b.example/', enabled: false}]"
    )
    written.write_text(
        "sources: [{name: c, url: 'http://c.example/'}]\nsources_files: [more/a.yaml, more/b.yaml]"
    )
    loaded = config.load(written, {}, KINDS)
    assert [(s.name, s.kind, s.url, s.enabled) for s in loaded.sources] == [
        ("c", "feed", "http://c.example/", True),
        ("a", "feed", "http://a.example/?x=1", True),
        ("b", "feed", "http://b.example/", False),
    ]
    other = config.load(written, {"SOURCES_FILES": str(tmp_path / "more" / "b.yaml")}, KINDS)
    assert [s.name for s in other.sources] == ["c", "b"]


def test_the_file_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert config.find_file(None, {}) is None or config.find_file(None, {}) == Path(
        "/etc/digestd/digestd.yaml"
    )
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "digestd.yaml").touch()
    assert config.find_file(None, {}) == Path("conf/digestd.yaml")
    assert config.find_file(None, {"DIGESTD_CONFIG": "x.yaml"}) == Path("x.yaml")
    assert config.find_file(Path("y.yaml"), {"DIGESTD_CONFIG": "x.yaml"}) == Path("y.yaml")


def test_the_database_is_sqlite_in_the_state_directory_unless_told_otherwise() -> None:
    unset = config.DatabaseSettings()
    assert (
        config.database_url(unset, {"STATE_DIRECTORY": "/var/lib/digestd:/x"})
        == "sqlite:////var/lib/digestd/digestd.db"
    )
    assert config.database_url(unset, {}).endswith("/digestd/digestd.db")
    assert config.database_url(config.DatabaseSettings(url="postgresql:///x"), {}) == "postgresql:///x"


def test_a_file_that_must_not_be_seen_is_no_reason_to_run_on_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hidden(type(Path())):  # type: ignore[misc]
        def stat(self, **_: object) -> os.stat_result:
            raise PermissionError(errno.EACCES, "Permission denied")

        def read_text(self, *_: object, **__: object) -> str:
            raise PermissionError(errno.EACCES, "Permission denied")

    hidden = Hidden(tmp_path / "digestd.yaml")
    monkeypatch.setattr(plainsettings, "DEFAULT_FILES", (hidden,))
    with pytest.raises(ConfigurationError) as caught:
        config.load(None, {}, KINDS)
    assert caught.value.problems == (f"{hidden}: cannot be read: Permission denied",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "database: {url: 'sqlite://var/x.db'}",
            "database.url: must start with sqlite:/// (and the path of a file) or postgresql:// (and host/database)",
        ),
        (
            "database: {url: 'postgresql+asyncpg://h/d'}",
            "database.url: must start with sqlite:/// (and the path of a file) or postgresql:// (and host/database)",
        ),
        (
            "sources: [{name: a, url: 'http://a.example/', options: {since: 2020-01-01}}]",
            "sources[0] (a): options: may hold text, finite numbers, true, false, lists and mappings (quote dates)",
        ),
        (
            "sources: [{name: a, url: 'http://a.example/', options: {x: .nan}}]",
            "sources[0] (a): options: may hold text, finite numbers, true, false, lists and mappings (quote dates)",
        ),
    ],
)
def test_what_no_store_takes_is_refused_at_once(written: Path, text: str, problem: str) -> None:
    assert problems(written, text) == [problem]


def test_the_floor_of_adaptive_polling_is_not_above_its_ceiling(written: Path) -> None:
    text = "worker: {adaptive_min_seconds: 900, adaptive_max_seconds: 600}"
    assert problems(written, text) == [
        "worker.adaptive_max_seconds: must not be less than adaptive_min_seconds"
    ]


def test_what_files_of_sources_hold_is_looked_at_before_they_are_read(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever compares them later finds what changed meanwhile."""
    sources = written.parent / "sources.yaml"
    sources.write_text("[{name: a, url: 'http://a.example/'}]")
    before = config.content_of([sources])
    written.write_text("sources_files: [sources.yaml]")
    look = config.content_of

    def look_too_early(files: list[Path]) -> str:
        found = look(files)
        sources.write_text("[{name: b, url: 'http://b.example/'}]")
        return found

    monkeypatch.setattr(config, "content_of", look_too_early)
    loaded = config.load(written, {}, KINDS)
    assert [spec.name for spec in loaded.sources] == ["b"]
    assert loaded.source_content == before != look(loaded.source_files)
    written.write_text("sources: []")
    assert config.load(written, {}, KINDS).source_content is None
