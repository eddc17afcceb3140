"""Where each target of :mod:`fuzz.targets` begins: inputs that reach what it is about."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from random import Random

_RSS = (
    b"<rss version='2.0'><channel><title>A</title><item><title>T &amp;amp; U</title><guid>g</guid><link>/a</link>"
    b"<pubDate>Fri, 10 Jan 2020 10:00:00 +0200</pubDate><author>a@b.example (A)</author>"
    b"<description>&lt;p style='display:none'&gt;&lt;img src='/x'&gt;</description></item></channel></rss>"
)
_ATOM = (
    b"<?xml version='1.0' encoding='utf-8'?><feed xmlns='http://www.w3.org/2005/Atom' xml:base='https://a.example/'>"
    b"<entry xml:lang='de'><title type='html'>&lt;b&gt;T</title><id>urn:1</id><link href='p'/>"
    b"<updated>2020-01-10</updated>"
    b"<content type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'><a href='x'>x</a></div></content></entry></feed>"
)
_JSON = (
    b'{"version":"https://jsonfeed.org/version/1.1","title":"A","items":[{"id":7.0,"url":"/a","title":"T",'
    b'"authors":[{"name":"A"}],"content_html":"<img src=x onerror=y>","date_published":"2020-01-10T10:00:00Z"}]}'
)
_RSS_JSON = b'{"rss":{"channel":{"title":"A","item":[{"title":"T","link":"/a","guid":{"#value":"1"}}]}}}'
_PAGE = (
    b"<html lang='en'><head><title>T</title><link rel=canonical href='/p'><meta property='og:title' content='T'>"
    b"<meta name=author content='By A'><meta charset=shift_jis><script type='application/ld+json'>"
    b'{"@type":"NewsArticle","headline":"T","author":[{"name":"A"}],"datePublished":"2020-01-10"}</script></head>'
    b"<body><h1>T</h1><p>Text<time pubdate datetime='2020-01-10'>then</time></body></html>"
)
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"

SEEDS: Mapping[str, tuple[bytes, ...]] = {
    "feed": tuple(
        bytes([choice]) + body for choice in (0, 3) for body in (_RSS, _ATOM, _JSON, _RSS_JSON, b"<html>")
    ),
    "parsers": (
        b"\0" + _RSS,
        b"\0" + _ATOM,
        b"\0<rss version='2.0'><channel><item><title>a<b>c</b></title><summary>d</summary></item></channel></rss>",
        b"\0<rss xmlns:dc='http://purl.org/dc/elements/1.1/'><channel><item><dc:creator>A</dc:creator></item></channel></rss>",
        *(b"\1" + Random(number).randbytes(120) for number in range(8)),
    ),
    "dates": (
        b"Fri, 10 Jan 2020 10:00:00 +0200",
        b"2020-01-10T24:00:00Z",
        b"20200110T100000",
        b"10. \x83 2020 23:59:60 PM",
        b"1" * 300,
    ),
    "sanitiser": (
        b"<p onclick=x>a<a href='javascript:x'>b</a><img src=/i width=1></p>",
        b"<div style='display:none'><p><img src=/i></p></div><img src=/j>",
        b"<svg></p><style><a title='</style><img src=x onerror=y>'>",
        b"<noscript><p title='</noscript><img src=x onerror=y>'>",
        bytes(range(0x80, 0xF0)),
    ),
    "urls": (
        b"https://user:p%40ss@example.org:8080/a?b=c#d\n//other.example/x",
        b"http://[::1]/\n../up?token=x",
        "https://b\xfccher.example/\nhttp://a.example/".encode(),
        b"http://0x7f.1/\nhttps://u:p@a.example/;jsessionid=1",
        b"HTTP://A:99999\n\\\\evil",
    ),
    "answer": (
        b"\x08\x00" + _CHUNKED,
        b"\x40\x04HTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody",
        b"\x05\x00" + gzip.compress(b"hello" * 9, mtime=0) + b"\x1f",
        b"\x03\x01" + zlib.compress(bytes(300_000), 9),
        b"\x02\x02\x0b\x02\x80hello\x03",
        b"\x04\x03\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00hello",
    ),
    "robots": (
        b"User-agent: *\nDisallow: /a*b$\nAllow: /a\nCrawl-delay: 5",
        b"\xef\xbb\xbfuser agent: digestd\r\ndissallow /\r\ncrawl-delay: nan",
        b"otherbot: noindex, digestd: nosnippet, unavailable_after: 25 Jun 2010 15:00:00 PST",
        b"Mozilla/5.0 (compatible; digestd/1.0)",
        b"User-agent: a\nUser-agent: b\nAllow: /%zz\xff\nDisallow:",
    ),
    "page": (*(bytes([choice]) + _PAGE for choice in range(4)), b"\0", b"\0<p>" * 300),
    "sitemap": (
        b"\0<urlset><url><loc>/a?b&c</loc><lastmod>2020-01-01</lastmod></url><url><loc><![CDATA[/d&e]]></loc></url>",
        b"\2<sitemapindex><sitemap><loc>/a.xml</loc></sitemap></sitemapindex>",
        b"\4https://example.org/a\nhttps://example.org/b",
        b"\0<!DOCTYPE urlset [<!ENTITY a 'b'>]><urlset>&a;</urlset>",
        b"\1" + bytes(range(40)),
    ),
    "listing": (
        b"\0<ul><li><h2><a href=/a/one-two-three>One two three</a></h2><time datetime=2020-01-01></ul>",
        b"\2<base href=//b.example><div><a href=a>A</a><a href=b>B</a></div><li><a href=c>C</a>",
        b"\0<table><tr><td><a href=a-2020-01>A-2020-01</a><td>What<td>2020-01-01</table>",
        b"\1" + bytes(range(60)),
    ),
}
