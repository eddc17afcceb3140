"""Documents that are made up: feeds, large feeds and large pages, the same for the same number in every run."""

from __future__ import annotations

from functools import lru_cache

_TEXT = (
    "advisory attacker authentication bypass certificate cluster compiler credential daemon decoder exploit firmware "
    "gateway handshake injection kernel library memory overflow packet parser patch privilege protocol proxy release "
    "request sandbox scheduler server session signature socket storage system tenant token update vendor version"
)
_WORDS = _TEXT.split()


@lru_cache(2_048)
def feed(number: int, entries: int, entry_bytes: int, origin: str, edition: int = 0) -> bytes:
    """The feed with this `number`: RSS 2.0 with HTML in each of its `entries`, about `entry_bytes` long, which link to
    pages at `origin`. Another `edition` has the same entries with other texts."""
    items = "".join(_item(number, index, entry_bytes, origin, edition) for index in range(entries))
    head = f"<title>Feed {number}</title><link>{origin}/</link><description>Made up.</description>"
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0" '
        'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<channel>{head}{items}</channel></rss>"
    ).encode()


def _item(number: int, index: int, size: int, origin: str, edition: int) -> str:
    seed = number * 1_009 + index * 37 + edition
    html = "".join(
        f"<p>{_sentence(seed + n)} <a href='/read/{n}'>more</a></p>" for n in range(1 + size // 130)
    )
    return (
        f"<item><title>{_sentence(seed)[:60]} &amp; more</title><link>{origin}/page/{number}-{index}</link>"
        f"<guid isPermaLink='false'>feed-{number}-{index}</guid><dc:creator>Author {index % 5}</dc:creator>"
        f"<pubDate>Mon, 23 Nov 2026 {index // 60 % 24:02}:{index % 60:02}:00 GMT</pubDate>"
        f"<description>{_sentence(seed + 5)}</description>"
        f"<content:encoded><![CDATA[{html}]]></content:encoded></item>"
    )


@lru_cache(4)
def page(size: int) -> bytes:
    """An article's page of about `size` bytes, most of it text."""
    paragraphs = "".join(
        f"<p>{_sentence(n)} {_sentence(n + 1)} {_sentence(n + 2)}</p>\n" for n in range(1 + size // 300)
    )
    return (
        "<!doctype html><html lang='en'><head><title>A long report</title></head><body><nav><a href='/'>Home</a></nav>"
        f"<article><h1>A long report</h1>{paragraphs}</article></body></html>"
    ).encode()


def _sentence(seed: int) -> str:
    words = [_WORDS[(seed * 31 + place * place * 7 + place) % len(_WORDS)] for place in range(11)]
    return f"{' '.join(words).capitalize()} {seed % 997}."
