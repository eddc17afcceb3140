"""What counts as one host, and what takes turns together."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.ingest.network import host_keys
from digestd.ingest.network.host_keys import host_of, key_of

NAMED = {"blog.example.org", "example.org", "localhost", "10.0.0.5", "alice.github.io"}


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.ORG/feed", "example.org:443"),
        ("http://example.org", "example.org:80"),
        ("http://user:pw@www.example.org.:8080/x", "www.example.org:8080"),
        ("http://[::1]/", "::1:80"),
        ("https://bücher.example.org/", "xn--bcher-kva.example.org:443"),
        ("https://faß.de/", "xn--fa-hia.de:443"),
        ("http://example.org:99999/", "http://example.org:99999/"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_host_is_name_and_port(url: str, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://example.org/feed", "example.org"),
        ("http://News.Example.ORG.:8080/feed", "example.org"),
        ("http://user:pw@www.example.org/", "example.org"),
        ("https://www.bbc.co.uk/", "bbc.co.uk"),
        ("https://a.b.kawasaki.jp/", "a.b.kawasaki.jp"),
        ("https://www.ck/", "www.ck"),
        ("https://食狮.公司.cn/", "xn--85x722f.xn--55qx5d.cn"),
        ("https://a.xn--85x722f.xn--55qx5d.cn/", "xn--85x722f.xn--55qx5d.cn"),
    ],
)
def test_public_names_take_turns_with_their_registrable_domain(url: str, key: str) -> None:
    assert key_of(url) == key


@pytest.mark.parametrize("domain", ["tumblr.com", "github.io", "blogspot.com"])
def test_the_users_of_one_site_take_turns_together(domain: str) -> None:
    assert {key_of(f"https://{user}.{domain}/rss") for user in ("alice", "bob")} == {domain}


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://localhost/", "localhost:80"),
        ("http://localhost:8000/", "localhost:8000"),
        ("https://rss.localhost/", "rss.localhost:443"),
        ("http://intranet/feed", "intranet:80"),
        ("http://nas.local:5000/", "nas.local:5000"),
        ("https://a.b.internal/", "a.b.internal:443"),
        ("https://co.uk/", "co.uk:443"),
        ("http://127.0.0.1:8000/", "127.0.0.1:8000"),
        ("http://93.184.216.34/", "93.184.216.34:80"),
        ("http://127.1/", "127.1:80"),
        ("http://0x7f000001/", "0x7f000001:80"),
        ("http://[::ffff:10.0.0.1]:81/", "::ffff:10.0.0.1:81"),
        ("http://[2606:4700::1]/", "2606:4700::1:80"),
        (f"https://{'a.' * 126}com/", f"{'a.' * 126}com:443"),
        ("http://example.org:99999/", "http://example.org:99999/"),
        ("nonsense", "nonsense"),
        ("", ""),
    ],
)
def test_addresses_and_private_names_take_turns_by_host_and_port(url: str, key: str) -> None:
    assert key_of(url) == key


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://blog.example.org:8443/", "blog.example.org"),
        ("http://BLOG.example.org./", "blog.example.org"),
        ("https://my.blog.example.org/", "example.org"),
        ("https://www.example.org/", "example.org"),
        ("https://alice.github.io/", "alice.github.io"),
        ("https://bob.github.io/", "github.io"),
        ("http://localhost:8000/", "localhost:8000"),
        ("http://10.0.0.5:81/", "10.0.0.5:81"),
    ],
)
def test_a_public_host_that_is_named_has_a_key_of_its_own(url: str, key: str) -> None:
    assert key_of(url, NAMED) == key


hosts = st.text(st.sampled_from("aé-_.:%[]@/0o。\udc80 \x00"), max_size=20) | st.text(max_size=300)


@given(hosts, st.sampled_from(["http://", "https://", ""]))
def test_whatever_stands_there_has_a_key_which_the_scheme_of_a_domain_does_not_change(
    host: str, scheme: str
) -> None:
    key = key_of(f"{scheme}{host}")
    assert isinstance(host_of(f"{scheme}{host}"), str)
    if ":" not in key and scheme:
        assert key_of(f"http://{host}") == key_of(f"https://{host}") == key
        assert key_of(f"https://{key}/") == key


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_commands_that_ask_nobody_do_not_read_the_list(arguments: list[str]) -> None:
    program = "import sys; from digestd.__main__ import main\ntry: main()\nexcept SystemExit: pass\n"
    told = "print('tldextract' in sys.modules, 'requests' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program + told, *arguments],
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False False"


@given(
    st.one_of(
        st.text(),
        st.builds(
            "{}{}{}".format,
            st.sampled_from(
                ["http://", "https://", "HTTP://", "http:/", "http:", "//", "ftp://", "http:///"]
            ),
            st.text("aZ.:@[]1/?#\\ \tä", max_size=12),
            st.sampled_from(["", "/", "/feed/1?x=/#/", "?x=1/2", "#a/b"]),
        ),
    )
)
def test_the_host_of_a_url_is_told_by_its_beginning(url: str) -> None:
    host_keys._read.cache_clear()
    assert host_keys._host_and_port(url) == host_keys._read(url)
