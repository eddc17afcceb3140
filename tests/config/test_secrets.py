"""Secrets of sources: where they come from, and that they are kept and shown nowhere."""

from __future__ import annotations

import json
import pickle
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from digestd.config import Configuration, Secrets, load
from digestd.config.access import Access, Secret
from digestd.errors import ConfigurationError
from digestd.model import SourceSpec

CANARY = "canary-7f3a"


def configuration(
    folder: Path, options: dict[str, Any], url: str = "https://a.example/f", **environ: str
) -> Configuration:
    file = folder / "digestd.yaml"
    file.write_text(
        yaml.safe_dump({"sources": [{"name": "a", "url": url, "options": options}]}, sort_keys=False)
    )
    return load(file, environ, {"feed"})


def access(config: Configuration) -> Access:
    return config.secrets.access_of(config.sources[0])


def revealed(found: Access) -> dict[str, str]:
    return {name: value.reveal() for name, value in found.headers.items()}


def test_a_source_may_stand_without_any(tmp_path: Path) -> None:
    config = configuration(tmp_path, {"content": "feed", "other": 1})
    assert access(config) == Access()
    assert config.sources[0].options == {"content": "feed", "other": 1}


def test_every_way_to_give_one(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from file\n")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "cookie").write_text("from systemd")
    options = {
        "headers": {"X-Api-Key": "from settings", "x-two": {"env": "TWO"}},
        "basic_auth": {"username": "u", "password": {"file": "password"}},
        "cookies": {"sid": {"credential": "cookie"}, "b": "c"},
        "proxy": {"env": "PROXY"},
    }
    config = configuration(
        tmp_path,
        options,
        TWO="from environment",
        PROXY="socks5://u:p@proxy:1080",
        CREDENTIALS_DIRECTORY=str(credentials),
    )
    assert config.warnings == ()
    found = access(config)
    assert revealed(found) == {
        "x-api-key": "from settings",
        "x-two": "from environment",
        "authorization": "Basic " + b64encode(b"u:from file").decode(),
        "cookie": "sid=from systemd; b=c",
    }
    assert found.proxy == Secret("socks5://u:p@proxy:1080")


def test_a_bearer_token_and_certificates(tmp_path: Path) -> None:
    for name in ("ca.pem", "client.pem"):
        (tmp_path / name).write_text("x")
    options = {"bearer_token": "t", "ca_file": "ca.pem", "client_certificate": str(tmp_path / "client.pem")}
    found = access(configuration(tmp_path, options | {"client_key_password": {"env": "KEY"}}, KEY="k"))
    assert revealed(found) == {"authorization": "Bearer t"}
    assert (found.ca_file, found.client_certificate) == (tmp_path / "ca.pem", tmp_path / "client.pem")
    assert (found.client_key, found.client_key_password) == (None, Secret("k"))


def test_a_file_is_read_anew(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("old")
    config = configuration(tmp_path, {"bearer_token": {"file": "token"}})
    (tmp_path / "token").write_text("new")
    assert revealed(access(config)) == {"authorization": "Bearer new"}


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"X-Key": CANARY}},
        {"basic_auth": {"username": "u", "password": CANARY}},
        {"bearer_token": CANARY},
        {"cookies": {"sid": CANARY}},
        {"proxy": f"http://u:{CANARY}@proxy:3128"},
        {"client_certificate": "x", "client_key_password": CANARY},
    ],
)
def test_what_stands_in_the_settings_goes_neither_into_the_database_nor_into_any_text(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    (tmp_path / "x").touch()
    config = configuration(tmp_path, options)
    kept = json.dumps(dict(config.sources[0].options))
    assert CANARY not in kept
    assert f"a: {next(reversed(options))}" in kept
    for shown in (config, config.secrets, access(config), config.sources, access(config).headers):
        assert CANARY not in repr(shown)
        assert CANARY not in f"{shown}"


def test_another_process_without_that_file_says_so(tmp_path: Path) -> None:
    spec = configuration(tmp_path, {"bearer_token": CANARY}).sources[0]
    with pytest.raises(ConfigurationError) as caught:
        Secrets({}, {}).access_of(spec)
    assert str(caught.value) == (
        "source 'a': options: bearer_token: it stands in a settings file that this process has not read"
    )


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"bearer_token": {"env": "NONE"}}, "bearer_token: the variable NONE is not set"),
        ({"headers": {"X": {"file": "none"}}}, "headers.X: {folder}/none cannot be read: No such file or directory"),
        ({"headers": {"X": {"file": "empty"}}}, "headers.X: {folder}/empty is empty"),
        ({"headers": {"X": {"file": "long"}}}, "headers.X: {folder}/long has more than 65,536 bytes, and is no secret"),
        ({"headers": {"X": {"file": "binary"}}}, "headers.X: {folder}/binary is no UTF-8 text"),
        ({"headers": {"X": {"file": "lines"}}},
         "headers.X: must be one line, without control characters, and without blanks at its ends"),
        ({"cookies": {"X": {"file": "wide"}}}, "cookies.X: has characters that HTTP cannot carry"),
        ({"cookies": {"X": {"credential": "c"}}},
         "cookies.X: there are no credentials of systemd (LoadCredential=c:PATH)"),
        ({"ca_file": "none"}, "ca_file: there is no file {folder}/none"),
        ({"proxy": {"env": "PROXY"}}, "proxy: must start with http://, https:// or socks5://"),
    ],
)  # fmt: skip
def test_a_secret_that_is_not_there_is_told_and_stops_no_other_source(
    tmp_path: Path, options: dict[str, Any], problem: str
) -> None:
    for name, content in (("empty", b"\n"), ("long", b"x" * 70_000), ("binary", b"\xff")):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "lines").write_text(f"{CANARY}\r\nX-Forged: 1")
    (tmp_path / "wide").write_text(f"{CANARY}…")
    config = configuration(tmp_path, options, PROXY=f"ftp://{CANARY}")
    assert config.warnings == (f"source 'a': options: {problem.format(folder=tmp_path)}",)


def test_secrets_without_tls_are_warned_of(tmp_path: Path) -> None:
    config = configuration(tmp_path, {"bearer_token": "t"}, url="http://a.example/f")
    assert config.warnings == (
        "source 'a': its secrets are sent without TLS, for everyone on the way to read",
    )


FORM = "must be text, {env: VARIABLE}, {file: PATH} or {credential: NAME}"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"bearer_token": 7313}, f"bearer_token: {FORM} (quote a number)"),
        ({"bearer_token": {"env": "A", "file": "b"}}, f"bearer_token: {FORM}"),
        ({"bearer_token": {"setting": "other source: bearer_token"}}, f"bearer_token: {FORM}"),
        ({"bearer_token": {"credential": "../x"}},
         "bearer_token: credential: must be a name without slashes, as LoadCredential= gives it"),
        ({"headers": {"X": f"{CANARY}\nX-Forged: 1"}},
         "headers.X: must be one line, without control characters, and without blanks at its ends"),
        ({"headers": [CANARY]}, "headers: is missing or of the wrong type"),
        ({"headers": {"X": "y", f"X-Key {CANARY}": None}}, f"headers.***: {FORM} (quote a number)"),
        ({"headers": {"X": "y", f"X-Key {CANARY}": CANARY}}, "headers: the 2. name is none: a name is of letters, "
         "digits and hyphens, and what it stands for comes after a colon and a blank"),
        ({"headers": {f"X-Key:{CANARY}": None}}, f"headers.X-Key:***: {FORM} (quote a number)"),
        ({f"bearer_token:{CANARY}": None}, "bearer_token:***: a blank is missing behind the colon"),
        ({"basic_auth": {"username": "u", "password": "p", f"password:{CANARY}": None}},
         "basic_auth.password:***: a blank is missing behind the colon"),
        ({"cookies": {f"sid={CANARY}": CANARY}}, "cookies: the 1. name is none: a name is of letters, "
         "digits and hyphens, and what it stands for comes after a colon and a blank"),
        ({"headers": {"Host": CANARY}}, "headers.Host: the URL names the host"),
        ({"headers": {"TE": CANARY, "X": CANARY, "range": CANARY}},
         "headers.TE: digestd looks after its connections itself; headers.range: digestd needs the whole document"),
        ({"headers": {"X": "a", "x": "b"}}, "headers: one stands there twice, in capitals and without"),
        ({"headers": {"Cookie": CANARY}, "cookies": {"a": "b"}}, "cookies or the header Cookie, not both"),
        ({"headers": {"Authorization": CANARY}, "bearer_token": "t"},
         "one of basic_auth, bearer_token and the header Authorization is enough"),
        ({"basic_auth": CANARY}, "basic_auth: is missing or of the wrong type"),
        ({"basic_auth": {"username": "u", "passwort": CANARY}},
         "basic_auth.password: is missing or of the wrong type; "
         "basic_auth.passwort: unknown key; did you mean password?"),
        ({"client_key": "x"}, "client_key and client_key_password go with client_certificate"),
        ({"ca_file": 1}, "ca_file: must be the path of a file, or {credential: NAME}"),
        ({"bearer_tokn": CANARY}, "bearer_tokn: unknown option; did you mean bearer_token?"),
    ],
)  # fmt: skip
def test_mistakes_are_told_without_the_secret(tmp_path: Path, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        configuration(tmp_path, options)
    assert str(caught.value) == f"{tmp_path}/digestd.yaml: sources[0] (a): options: {problem}"


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("host", "the URL names the host"),
        ("content-encoding content-length expect trailer transfer-encoding", "a request for a document has no body"),
        ("connection http2-settings keep-alive proxy-connection te upgrade",
         "digestd looks after its connections itself"),
        ("proxy-authorization", "the credentials of a proxy go into the option proxy"),
        ("accept-encoding", "digestd asks for the codings that it can undo"),
        ("a-im if-range range", "digestd needs the whole document"),
        ("if-match if-modified-since if-none-match if-unmodified-since",
         "digestd itself asks whether the document changed"),
    ],
)  # fmt: skip
def test_no_source_sends_what_is_digestds_own(tmp_path: Path, names: str, reason: str) -> None:
    for name in names.split():
        for spelt in (name, name.title(), name.upper()):
            with pytest.raises(ConfigurationError) as caught:
                configuration(tmp_path, {"headers": {spelt: {"env": "NOT_SET"}}})
            place = f"{tmp_path}/digestd.yaml: sources[0] (a): options"
            assert str(caught.value) == f"{place}: headers.{spelt}: {reason}"


def test_a_source_may_say_who_asks_and_for_what(tmp_path: Path) -> None:
    headers = {
        "User-Agent": "mine",
        "Accept": "text/xml",
        "Accept-Language": "de",
        "Referer": "https://a.example/",
    }
    found = access(configuration(tmp_path, {"headers": headers}))
    assert revealed(found) == {name.lower(): value for name, value in headers.items()}


def test_settings_may_be_credentials_of_systemd(tmp_path: Path) -> None:
    (tmp_path / "database_url").write_text("postgresql://u:p@host/db\n")
    (tmp_path / "fetch_proxy").write_text("socks5://u:p@proxy:1080")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "FETCH_PROXY": "http://other:1"}
    settings = load(Path("/dev/null"), environ, {"feed"}).settings
    assert settings.database.url == "postgresql://u:p@host/db"
    assert settings.fetch.proxy == "http://other:1"
    assert "u:p" not in repr(settings)


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(CANARY)
    shown = f"{secret} {secret!r} {secret!s:>5} {[secret]} {secret:}" + "%s %r" % (secret, secret)  # noqa: UP031
    assert CANARY not in shown
    assert secret == Secret(CANARY) != Secret("other")
    assert len({secret, Secret(CANARY)}) == 1
    with pytest.raises(TypeError, match="a secret is not to be pickled"):
        pickle.dumps(secret)


@given(st.text(min_size=6, max_size=30), st.text(max_size=30))
def test_what_a_server_sends_back_is_redacted(value: str, around: str) -> None:
    spec = SourceSpec("a", "feed", "https://a.example/", options={"proxy": {"env": "P"}})
    found = Secrets({}, {"P": f"http://{value}"}).access_of(spec)
    assert f"http://{value}" not in found.redacted(f"{around}http://{value}{around}")


def test_the_password_in_a_url_is_redacted_too() -> None:
    found = Secrets({}, {}).access_of(SourceSpec("a", "feed", "https://u:p%26ssword@a.example/"))
    pair = b64encode(b"u:p&ssword").decode()
    assert found.redacted(f"{pair} p%26ssword p&ssword") == "*** *** ***"


def test_derived_secrets_are_redacted_too(tmp_path: Path) -> None:
    found = access(configuration(tmp_path, {"basic_auth": {"username": "u", "password": "p&ssword"}}))
    pair = b64encode(b"u:p&ssword").decode()
    assert found.redacted(f"your Basic {pair}, ?a=p%26ssword, p&ssword") == "your Basic ***, ?a=***, ***"


def test_a_file_that_cannot_be_looked_at_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a directory that is closed to this user."""

    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    spec = SourceSpec("one", "feed", "https://one.example/", options={"ca_file": "/closed/ca.pem"})
    with pytest.raises(ConfigurationError) as refused:
        Secrets({}, {}).access_of(spec)
    assert (
        str(refused.value)
        == "source 'one': options: ca_file: /closed/ca.pem cannot be looked at: Permission denied"
    )
