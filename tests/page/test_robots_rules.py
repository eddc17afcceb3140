"""robots.txt: whom a group is for, which pattern wins, and that nothing a server writes there can hurt."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.page.robots import (
    ALLOW_ALL,
    DISALLOW_ALL,
    ROBOTS_BYTES,
    parse_robots,
    product_token,
)

SITE = "https://example.org"


def allowed(robots: str, path: str, agent: str = "digestd") -> bool:
    return parse_robots(robots.encode()).allows(SITE + path, agent)


@pytest.mark.parametrize(
    ("robots", "path", "expected"),
    [
        ("User-agent: *\nDisallow: /private", "/private/x", False),
        ("User-agent: *\nDisallow: /private", "/public", True),
        ("User-agent: *\nDisallow: /\nAllow: /news", "/news/1", True),
        ("User-agent: *\nAllow: /news\nDisallow: /news", "/news/1", True),
        ("User-agent: *\nAllow: /n\nDisallow: /news", "/news/1", False),
        ("User-agent: *\nDisallow: /*.php", "/a/b.php?x=1", False),
        ("User-agent: *\nDisallow: /*.php$", "/a/b.php?x=1", True),
        ("User-agent: *\nDisallow: /*.php$", "/a/b.php", False),
        ("User-agent: *\nDisallow: /*?print=", "/a?print=1", False),
        ("User-agent: *\nDisallow: /a%3Cb", "/a<b", False),
        ("User-agent: *\nDisallow: /übung", "/%C3%BCbung", False),
        ("User-agent: *\nDisallow:", "/", True),
        ("User-agent: *\nDisallow: /", "/robots.txt", True),
        ("Disallow: /", "/", True),
        ("", "/", True),
    ],
)
def test_the_longest_pattern_decides(robots: str, path: str, expected: bool) -> None:
    assert allowed(robots, path) is expected


@pytest.mark.parametrize(
    ("robots", "expected"),
    [
        ("User-agent: digestd\nDisallow: /", False),
        ("user-AGENT:DigestD # us\ndisallow:/", False),
        ("User-agent: digestd/2.0 (any)\nDisallow: /", False),
        # Everybody's rules are not ours where there are rules for us, even empty ones.
        ("User-agent: *\nDisallow: /\n\nUser-agent: digestd\nDisallow:", True),
        ("User-agent: digestd\nAllow: /\nUser-agent: *\nDisallow: /", True),
        ("User-agent: digestd\nCrawl-delay: 3\nUser-agent: *\nDisallow: /", True),
        # Names like ours are others'.
        ("User-agent: digest\nDisallow: /", True),
        ("User-agent: d\nDisallow: /", True),
        ("User-agent: digestd-images\nDisallow: /", True),
        ("User-agent: my-digestd\nDisallow: /", True),
        # One group for several, blank lines, comments and unknown fields between them or not.
        ("User-agent: other\n\n# and\nSitemap: /s.xml\nUser-agent: digestd\nDisallow: /", False),
        ("User-agent: digestd\nUser-agent: other\nNoindex: /x\nDisallow: /", False),
        ("User-agent: other\nDisallow: /\nUser-agent: digestd\nAllow: /", True),
        # Several groups for one are one.
        (
            "User-agent: digestd\nAllow: /a\n\nUser-agent: b\nAllow: /\n\nUser-agent: digestd\nDisallow: /",
            False,
        ),
        # A group for a name that is none is nobody's, and does not belong to the one before.
        ("User-agent: digestd\nAllow: /x\nUser-agent: ☃\nDisallow: /", True),
        ("User-agent: *bot\nDisallow: /", True),
        # What people write.
        ("User-agent digestd\nDisallow /", False),
        ("Useragent: *\nDissalow: /", False),
        ("User-agent: *\nDisallow all of this please", True),
    ],
)
def test_the_group_with_our_name_is_ours_alone(robots: str, expected: bool) -> None:
    assert allowed(robots, "/page") is expected
    assert allowed(robots, "/page", "DIGESTD") is expected


def test_rules_lost_to_the_bounds_do_not_join_two_groups() -> None:
    long = "/x" * 2_000
    robots = f"User-agent: digestd\nDisallow: {long}\nUser-agent: other\nDisallow: /"
    assert allowed(robots, "/page")
    assert not allowed(robots, "/page", "other")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_all_line_ends_are_ends(end: str) -> None:
    assert not allowed(end.join(["User-agent: *", "Disallow: /"]), "/")


def test_what_only_unicode_takes_for_a_line_end_is_none() -> None:
    assert allowed("User-agent: digestd\nAllow: /a\x0cDisallow: /", "/")
    assert allowed("User-agent: digestd\nAllow: /a\u2028User-agent: b\nAllow: /b\u2029Disallow: /", "/")


def test_a_byte_order_mark_and_bytes_that_are_no_text_do_no_harm() -> None:
    rules = parse_robots(b"\xef\xbb\xbfUser-agent: *\nDisallow: /\xff\xfe\n\x00\x01\nDisallow: /private")
    assert not rules.allows(f"{SITE}/private", "digestd")
    assert rules.allows(f"{SITE}/public", "digestd")


def test_fixed_rules() -> None:
    assert ALLOW_ALL.allows(SITE, "digestd")
    assert ALLOW_ALL.crawl_delay("digestd") is None
    assert ALLOW_ALL.size == 0
    assert not DISALLOW_ALL.allows(SITE, "digestd")
    assert DISALLOW_ALL.size == 1


def test_a_url_that_is_none_is_left_to_whoever_fetches_it() -> None:
    assert DISALLOW_ALL.allows("http://[", "digestd")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("10", 10),
        ("0.5", 0.5),
        ("0", 0),
        ("61", 60),
        ("1e300", 60),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("9" * 2_000, None),
    ],
)
def test_a_crawl_delay_is_bounded(said: str, seconds: float | None) -> None:
    rules = parse_robots(f"User-agent: digestd\nCrawl-delay: {said}\nUser-agent: *\nCrawl-delay: 7".encode())
    assert rules.crawl_delay("digestd") == seconds
    assert rules.crawl_delay("other") == 7


@pytest.mark.parametrize(
    ("user_agent", "token"),
    [
        ("digestd/0.1.0 (security feed reader)", "digestd"),
        ("digestd (+https://example.com/about)", "digestd"),
        ("  Acme-News_2/1", "Acme-News_2"),
        ("Mozilla/5.0 (compatible; ExampleBot/0.1; https://www.example.com/bot.html)", "ExampleBot"),
        ("Mozilla/5.0 (X11; Linux)", "Mozilla"),
        ("(compatible; x)", "*"),
        ("", "*"),
    ],
)
def test_our_name_is_the_product_token(user_agent: str, token: str) -> None:
    assert product_token(user_agent) == token


def test_who_has_no_name_is_under_the_rules_for_everybody() -> None:
    robots = "User-agent: digestd\nAllow: /\nUser-agent: *\nDisallow: /"
    assert not allowed(robots, "/", product_token(""))
    assert allowed("User-agent: digestd\nDisallow: /", "/", product_token(""))


def test_only_whole_lines_of_the_first_500_kib_are_read() -> None:
    begin = b"User-agent: *\nDisallow: /a\n"
    last = b"Disallow: /"
    fill = b"#" * (ROBOTS_BYTES - len(begin) - len(last) - 1) + b"\n"
    whole = begin + fill + last
    assert len(whole) == ROBOTS_BYTES
    assert not parse_robots(whole).allows(f"{SITE}/b", "digestd")
    cut = parse_robots(whole + b"private\nDisallow: /c\n")
    assert cut.allows(f"{SITE}/b", "digestd")
    assert cut.allows(f"{SITE}/c", "digestd")
    assert not cut.allows(f"{SITE}/a", "digestd")
    assert parse_robots(b"Disallow: /" * 100_000).allows(SITE, "digestd")


def test_patterns_that_no_url_is_long_enough_for_are_left_out() -> None:
    assert not allowed("User-agent: *\nDisallow: /" + "x" * 2_047, "/" + "x" * 2_047)
    assert allowed("User-agent: *\nDisallow: /" + "x" * 2_048, "/" + "x" * 2_048)
    assert not allowed("User-agent: *\nDisallow: " + "/*" * 32, "/" * 40)
    assert allowed("User-agent: *\nDisallow: " + "/*" * 33, "/" * 40)


def test_a_large_honest_file_is_read_to_its_end() -> None:
    groups = "".join(f"User-agent: bot{number}\nDisallow: /\n" for number in range(3_000))
    rules = "".join(f"Disallow: /node/{number}\n" for number in range(15_000))
    parsed = parse_robots(f"{groups}User-agent: *\n{rules}".encode())
    assert parsed.size == 18_000
    assert not parsed.allows(f"{SITE}/node/14999", "digestd")
    assert not parsed.allows(SITE, "bot2999")
    assert parsed.allows(SITE, "digestd")


def filled(begin: str, line: str) -> bytes:
    """500 KiB of numbered lines."""
    count = ROBOTS_BYTES // len(line.format(0))
    return (begin + "".join(line.format(number) for number in range(count))).encode()


AGENTS = "".join(f"User-agent: b{number}\n" for number in range(3_000))
EVERYBODY = "User-agent: *\n"
HOSTILE = {
    "short rules": filled(EVERYBODY, "allow:/{}\n"),
    "wildcards": filled(EVERYBODY, "Disallow: " + "*a" * 30 + "b{}\n"),
    "too many wildcards": filled(EVERYBODY, "Disallow: " + "*a" * 900 + "b{}\n"),
    "needles that nearly match": filled(EVERYBODY, "Disallow: *" + "a" * 30 + "b{}\n"),
    "dollars": filled(EVERYBODY, "Allow: /{}$$$/index.html\n"),
    "escapes": filled(EVERYBODY, "Allow: /{}" + "%41" * 600 + "\n"),
    "agents": filled("", "User-agent: b{}\n"),
    "the same agents again": (filled("", "useragent:{}\n")[: ROBOTS_BYTES // 2] + b"\nAllow: /\n") * 2,
    "agents times rules": filled(AGENTS, "Allow: /{}/index.html\n"),
    "hidden agents": filled("", "User-agent: a{0}\nSitemap: /\nUseragent b{0}\n") + b"Allow: /\n" * 30_000,
    "hidden line ends": filled(AGENTS, "Allow: /\x0bAllow: /{}\n"),
    "nothing": b"\n" * ROBOTS_BYTES,
    "one line": b"Disallow: " + b"a" * 10_000_000,
    "spaces": b"Disallow" + b" " * ROBOTS_BYTES,
    "colons": b":" * ROBOTS_BYTES,
    "no text": b"\xff" * ROBOTS_BYTES,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_cost_little(body: bytes) -> None:
    """Measured at worst: 0.3 s of CPU and 36 MB to read, 20 ms to ask. Without bounds it is minutes and gigabytes."""
    began = time.process_time()
    rules = parse_robots(body)
    assert time.process_time() - began < 1
    began = time.process_time()
    for begin in ("", "1", "2", "%61"):
        rules.allows(f"{SITE}/{begin}{'a' * 200_000}", "digestd")
    assert time.process_time() - began < 0.25
    assert rules.size < 65_000


@pytest.mark.parametrize("name", ["agents times rules", "short rules", "dollars"])
def test_hostile_files_are_small_in_memory(name: str) -> None:
    body = HOSTILE[name][: 120 * 1024]
    tracemalloc.start()
    try:
        rules = parse_robots(body)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rules.size
    assert held < 45_000_000


pieces = st.sampled_from(
    [
        "User-agent:",
        "user agent ",
        "Disallow:",
        "Allow:",
        "Crawl-delay:",
        "*",
        "/",
        "$",
        "%",
        "#",
        "\n",
        "\r",
        " ",
    ]
)


@given(st.lists(pieces | st.text(max_size=5), max_size=40).map("".join), st.text(max_size=20))
def test_any_text_is_read_and_any_question_answered(robots: str, path: str) -> None:
    rules = parse_robots(robots.encode("utf-8", "surrogatepass"))
    for agent in ("digestd", "*"):
        assert rules.allows(SITE + path, agent) in (True, False)
        delay = rules.crawl_delay(agent)
        assert delay is None or 0 <= delay <= 60


@given(st.binary(max_size=300))
def test_any_bytes_are_read(body: bytes) -> None:
    assert parse_robots(body).allows(SITE, "digestd") in (True, False)
