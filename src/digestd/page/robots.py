"""What a robots.txt permits (RFC 9309). Pure, and the only door to protego.

protego reads leniently and matches patterns, and has no bounds. So the file is first reduced to the few lines that
say something to us, in one spelling and within limits, and only those are given to it.
"""

from __future__ import annotations

import re

from protego import Protego

LONGEST_CRAWL_DELAY_SECONDS = 60.0
"""Who asks for more gets this: a wrong number must not keep a source's articles away for ever."""

ROBOTS_BYTES = 500 * 1024
"""How much of a robots.txt is read (RFC 9309, 2.5)."""

# What follows once one of these is reached is ignored, as if it stood behind the 500 KiB. Each rule counts once for
# every agent of its group: a file of half agents, half rules would otherwise make hundreds of millions of them.
_MOST_RULES = 60_000
_MOST_AGENT_LINES = 4_000
# Patterns with `*` or `$` are each tried on every URL; protego looks for all the others at once.
_MOST_PATTERNS = 2_000
_MOST_WILDCARDS = 32
_LONGEST_VALUE = 2_048
_LONGEST_URL = 4_096

_LINE = re.compile(r"[^\r\n]+")
# RFC 9309 has letters, `-` and `_` only; robots with digits in their names are no rarity.
_TOKEN = re.compile(r"[A-Za-z0-9_-]+")
# Browsers and robots in their disguise: the name stands in the comment (the example of RFC 9309, 2.2.1).
_COMPATIBLE = re.compile(r"\(compatible;\s*([A-Za-z0-9_-]+)")
_EVERYBODY = "*"

_AGENT = "user-agent"
_FIELDS = {
    _AGENT: _AGENT,
    "user agent": _AGENT,
    "useragent": _AGENT,
    "allow": "allow",
    "disallow": "disallow",
    # Misspellings that the large search engines take for what they mean.
    "dissallow": "disallow",
    "dissalow": "disallow",
    "disalow": "disallow",
    "diasllow": "disallow",
    "disallaw": "disallow",
    # Not in RFC 9309, but often written and meant.
    "crawl-delay": "crawl-delay",
    "crawl delay": "crawl-delay",
}


class Rules:
    """What one robots.txt says; made by :func:`parse_robots`.

    `size` is how many rules it holds, each counted for every agent it is for, by which a cache can be bounded: one
    takes from 300 to 900 bytes.
    """

    def __init__(self, parsed: Protego, size: int) -> None:
        self._parsed = parsed
        self.size = size

    def allows(self, url: str, agent: str) -> bool:
        """Whether the robot `agent` (see :func:`product_token`) may fetch `url`.

        The longest pattern that matches decides, and an `Allow` before a `Disallow` of its length (RFC 9309, 2.2.2).
        Only the first 4,096 characters of `url` are matched. One that no URL parser takes is allowed: whoever
        fetches it says what is wrong with it.
        """
        try:
            return bool(self._parsed.can_fetch(url[:_LONGEST_URL], _exactly(agent)))
        except ValueError:
            return True

    def crawl_delay(self, agent: str) -> float | None:
        """How many seconds, from 0 to 60, `agent` is asked to leave between two fetches; None: nothing is said."""
        delay = self._parsed.crawl_delay(_exactly(agent))
        return None if delay is None else min(float(delay), LONGEST_CRAWL_DELAY_SECONDS)


def parse_robots(body: bytes) -> Rules:
    """Read a robots.txt: whatever `body` is, it never raises, and takes less than a second.

    UTF-8 with or without a byte order mark; what cannot be read, or is beyond our bounds, is left out.
    Source: RFC 9309, 2.2 to 2.5.
    """
    if len(body) > ROBOTS_BYTES:
        # Half a line must not count: `Disallow: /` may be what is left of it.
        body = body[:ROBOTS_BYTES]
        body = body[: 1 + max(body.rfind(b"\n"), body.rfind(b"\r"))]
    reader = _Reader()
    for line in _LINE.finditer(body.decode("utf-8-sig", "replace")):
        if not reader.take(line[0]):
            break
    return Rules(Protego.parse("\n".join(reader.lines)), reader.rules)


def product_token(user_agent: str) -> str:
    """The name by which a robots.txt speaks to whoever sends `user_agent`: `digestd` for `digestd/1.2 (+https://…)`.

    `*`, whom only the rules for everybody concern, where there is no name in it. Source: RFC 9309, 2.2.1.
    """
    name = _COMPATIBLE.search(user_agent) if user_agent.startswith("Mozilla/") else None
    if name is not None:
        return name[1]
    token = _TOKEN.match(user_agent.strip())
    return token[0] if token else _EVERYBODY


class _Reader:
    """Takes lines one by one. `lines` is what they say, for protego; `rules` how many rules it will make of them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.rules = 0
        self._agents: set[str] = set()
        self._agent_lines = 0
        self._patterns = 0
        self._in_rules = True

    def take(self, line: str) -> bool:
        """Take a line; whether there is room for more."""
        field, value = _field(line)
        if field == _AGENT:
            self._take_agent(value)
        elif field is not None:
            self._take_rule(field, value)
        return self.rules < _MOST_RULES and self._agent_lines < _MOST_AGENT_LINES

    def _take_agent(self, value: str) -> None:
        if self._in_rules:
            self._in_rules = False
            self._agents = set()
            # Ends the group before, which may have lost all its rules to our bounds.
            self.lines.append("disallow:")
        self._agent_lines += 1
        agent = _agent(value)
        if agent is not None:
            self._agents.add(agent)
            self.lines.append(f"user-agent: {agent}")

    def _take_rule(self, field: str, value: str) -> None:
        self._in_rules = True
        if not self._agents or not _is_bounded(value):
            return
        if "*" in value or "$" in value:
            self._patterns += 1
            if self._patterns > _MOST_PATTERNS:
                return
        self.rules += len(self._agents)
        self.lines.append(f"{field}: {value}")


def _field(line: str) -> tuple[str | None, str]:
    """The field of a line in our spelling, None if it does not concern us, and its value."""
    line = line.partition("#")[0]
    name, colon, value = line.partition(":")
    if not colon:
        # Some leave the colon out; with more words it is prose.
        words = line.split()
        name, value = words if len(words) == 2 else ("", "")
    return _FIELDS.get(name.strip().lower()), value.strip()


def _agent(value: str) -> str | None:
    if value == _EVERYBODY:
        return _EVERYBODY
    token = _TOKEN.match(value)
    return _exactly(token[0]) if token else None


def _exactly(agent: str) -> str:
    """`agent` as protego is told of it: it would take the rules for `digest` as meant for `digestd` otherwise."""
    return agent if agent == _EVERYBODY else f"{agent}/"


def _is_bounded(value: str) -> bool:
    # protego breaks lines at everything Unicode has for it, and would find whole lines in a value.
    return (
        len(value) <= _LONGEST_VALUE and value.count("*") <= _MOST_WILDCARDS and len(value.splitlines()) <= 1
    )


ALLOW_ALL = parse_robots(b"")
"""The rules of a site that has no robots.txt."""

DISALLOW_ALL = parse_robots(b"User-agent: *\nDisallow: /")
"""The rules of a site that wants no robots."""
