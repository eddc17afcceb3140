"""Bytes spelled out as text that means something: a fuzzer finds `display:none` in one byte instead of twelve."""

from __future__ import annotations

from collections.abc import Sequence

HTML = (
    *("<div ", "<p>", "<b>", "</b>", "<img src=", "<a href="),
    *("<table>", "<td>", "<svg>", "<math>", "<style>", "</style>"),
    *("<script>", "</script>", "<noscript>", "<template>"),
    *("<select>", "<textarea>", "<title>", "<xmp>", "<plaintext>"),
    *("<iframe srcdoc=", "<form action=", "<x-y "),
    *("<mtext>", "<mglyph>", "<annotation-xml>", "<foreignobject>"),
    *(" style=", " hidden", " onload=", " srcset=", " width=0", " height=1", " cite=", " title="),
    *("display:none", "opacity:0", "overflow:hidden", "position:fixed"),
    *("</div>", "</p>", "</a>", "</svg>", "</table>"),
    *("javascript:", "data:text/html,", "vbscript:"),
    *("https://a.example/", "//a.example", "mailto:", "file:///"),
    *("<!--", "-->", "<![CDATA[", "]]>", "&lt;", "&amp;", "&#", "&colon;", "&#106;", "&Tab;", "\\6e", "/**/"),
    *("\x00", "\ud800", "\u2028", "\u202e", "é", "漢", "😀", "\x85", "İ"),
)  # fmt: skip

DATES = (
    *("Mon, ", "Fri ", "Jan", "février", "Mär", "мая", "Ιαν"),
    *("GMT", "UTC", "EST", "CEST", "+0200", "−05:30", " 2020"),
    *("2020-01-10", "T10:00:00", "Z", "10:00", ":60", "24:00", "PM"),
    *(" am", "오후", "年", "月", "日", "W01", "9999", "0001"),
    *("(comment)", "th", "de ", "\u00a0", "\u0661", "²", "\ud800", "\x00", "\u2212"),
)  # fmt: skip

SITEMAPS = (
    *("<urlset>", "</urlset>", "<sitemapindex>", "</sitemapindex>"),
    *("<url>", "</url>", "<sitemap>", "</sitemap>", "<loc>", "</loc>", "<lastmod>", "</lastmod>"),
    *("<news:news xmlns:news='n'>", "<news:title>", "</news:title>", "<news:publication_date>"),
    *("https://a.example/", "/a", "?b=c&d", "&amp;", "&#38;", "&", "<![CDATA[", "]]>", "<!--", "-->", "<?a?>"),
    *("<!DOCTYPE a>", "<!ENTITY a 'b'>", "&a;", "2020-01-01", "\x00", "\ud800", "\ufeff", "é"),
)  # fmt: skip

FEEDS = (
    *("<rss version='2.0'><channel>", "</channel></rss>"),
    *("<item>", "</item>", "<feed xmlns='http://www.w3.org/2005/Atom'>"),
    *("</feed>", "<entry>", "</entry>", "<title>"),
    *("</title>", "<title type='html'>", "<title type='xhtml'>", "<guid>"),
    *("</guid>", "<guid isPermaLink='false'>", "<link>", "</link>"),
    *("<link href='", "'/>", "<pubDate>", "</pubDate>"),
    *("<description>", "</description>", "<content:encoded>", "<![CDATA["),
    *("]]>", "<author>", "</author>", "<dc:date>"),
    *("<media:content url='", "<enclosure url='", "<itunes:image "),
    *("<georss:point>", "<psc:chapter ", "<source>"),
    *("<?xml version='1.0' encoding='", "'?>", "utf-16", "utf-7"),
    *("xml:base='", "xml:lang='", "<!DOCTYPE rss [", "<!ENTITY a '"),
    *("&a;", "&lt;", "&#x", ";", "&bogus;"),
    *("<rdf:RDF>", "<channel>", "<CHANNEL>", "<license>", "<cc:license "),
    *('{"version":"https://jsonfeed.org/version/1.1","items":[', "]}", '{"id":'),
    *('"title":', '"url":', '"authors":[{"name":'),
    *('"date_published":', '"content_html":', '"x"', "},"),
    *('{"rss":{"channel":{"item":[', "]}}}", "1e400", "\\ud800", "null"),
    *("2020-01-10", "http://a.example/", "javascript:", "é", "漢", "\x00", "\x1b"),
)  # fmt: skip

_FIRST_TOKEN = 0x80


def spelled(data: bytes, tokens: Sequence[str]) -> str:
    """Read `data` as text: bytes below 128 are ASCII, each other one stands for one of `tokens`."""
    return "".join(
        chr(byte) if byte < _FIRST_TOKEN else tokens[(byte - _FIRST_TOKEN) % len(tokens)] for byte in data
    )
