"""`fetch.allow_private_networks`: all networks, none, or those that are named."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.config import FetchSettings, load
from digestd.config.networks import Networks
from digestd.errors import ConfigurationError

TWO: Networks = (IPv4Network("10.20.0.0/16"), IPv6Network("fd00:1::/64"))
FORM = (
    "must be true, false, or networks: [10.20.0.0/16, 'fd00:1::/64'] in a file, "
    "10.20.0.0/16,fd00:1::/64 in a variable"
)


def from_file(folder: Path, text: str) -> bool | Networks:
    file = folder / "digestd.yaml"
    file.write_text(f"fetch: {{allow_private_networks: {text}}}")
    return load(file, {}, {"feed"}).settings.fetch.allow_private_networks


def from_variable(text: str) -> bool | Networks:
    environ = {"FETCH_ALLOW_PRIVATE_NETWORKS": text}
    return load(Path("/dev/null"), environ, {"feed"}).settings.fetch.allow_private_networks


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("true", True),
        ("false", False),
        ("[10.20.0.0/16, fd00:1::/64]", TWO),
        ("'10.20.0.0/16, fd00:1::/64'", TWO),
        ("['::1/128', 127.0.0.1]", (IPv6Network("::1/128"), IPv4Network("127.0.0.1/32"))),
        ("[]", False),
    ],
)
def test_in_a_file(tmp_path: Path, text: str, allowed: bool | Networks) -> None:
    assert from_file(tmp_path, text) == allowed


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("true", True),
        ("1", True),
        ("No", False),
        ("0", False),
        ("10.20.0.0/16,fd00:1::/64", TWO),
        (" 10.20.0.0/16 , fd00:1::/64 ", TWO),
        ("fd00:1::/64", TWO[1:]),
    ],
)
def test_in_a_variable(text: str, allowed: bool | Networks) -> None:
    assert from_variable(text) == allowed


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("3", FORM),
        ("{a: b}", FORM),
        ("", FORM),
        ("[10]", FORM),
        ("[true]", FORM),
        ("[10.20.0.0/33]", f"'10.20.0.0/33' is no network; {FORM}"),
        ("[intranet.example]", f"'intranet.example' is no network; {FORM}"),
        ("[10.20.0.1/16]", "10.20.0.1/16 is an address inside a network; write 10.20.0.0/16"),
        ("[fe80::%eth0/64]", f"'fe80::%eth0/64' is no network; {FORM}"),
        ("['10.0.0.0/8,10.1.0.0/16']", f"'10.0.0.0/8,10.1.0.0/16' is no network; {FORM}"),
        ("['http://user:hunter2@proxy/']", f"'***' is no network; {FORM}"),
        (f"[{'x' * 1000}]", f"'{'x' * 40}' is no network; {FORM}"),
    ],
)
def test_a_mistake_names_key_and_remedy(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        from_file(tmp_path, text)
    assert caught.value.problems == (f"{tmp_path}/digestd.yaml: fetch.allow_private_networks: {problem}",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", f"'' is no network; {FORM}"),
        ("10.20.0.0/16,", f"'' is no network; {FORM}"),
        ('["10.20.0.0/16"]', f"'[\"10.20.0.0/16\"]' is no network; {FORM}"),
    ],
)
def test_a_mistake_in_a_variable_names_it(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        from_variable(text)
    assert caught.value.problems == (f"environment: FETCH_ALLOW_PRIVATE_NETWORKS: {problem}",)


@given(st.lists(st.ip_addresses(v=4) | st.ip_addresses(v=6), max_size=3))
def test_what_is_shown_can_be_written_again(addresses: list[object]) -> None:
    settings = FetchSettings.model_validate(
        {"allow_private_networks": [f"{address}".partition("%")[0] for address in addresses]}
    )
    shown = settings.model_dump()["allow_private_networks"]
    assert shown == (", ".join(f"{ip_network(str(address))}" for address in addresses) or False)
    assert FetchSettings.model_validate({"allow_private_networks": shown}) == settings
