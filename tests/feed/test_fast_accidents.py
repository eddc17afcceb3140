"""Each thing that feedparser does by accident, or in a way that nobody would guess, done alike without it."""

from __future__ import annotations

import pytest

from support.feed_comparison import verdict

DUBLIN_CORE = "http://purl.org/dc/elements/1.1/"
MEDIA = "http://search.yahoo.com/mrss/"
ATOM = "http://www.w3.org/2005/Atom"
NAMES = (
    "xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:media='http://search.yahoo.com/mrss/' "
    "xmlns:a='http://www.w3.org/2005/Atom' "
    "xmlns:itunes='http://www.itunes.com/dtds/podcast-1.0.dtd' "
    "xmlns:content='http://purl.org/rss/1.0/modules/content/' "
    "xmlns:x='urn:x' xmlns:creativeCommons='http://backend.userland.com/creativeCommonsRssModule'"
)
RDF = "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://purl.org/rss/1.0/'"
XHTML = "xmlns='http://www.w3.org/1999/xhtml'"


def item(inside: str, before: str = "", attributes: str = "", names: str = NAMES) -> str:
    after = "<item><title>after</title><description>d</description><description>e</description></item>"
    return f"<rss version='2.0' {names} {attributes}><channel>{before}<item>{inside}</item>{after}</channel></rss>"


def entry(inside: str, attributes: str = "") -> str:
    after = "<entry><title>after</title><summary>s</summary></entry>"
    return f"<feed xmlns='{ATOM}' {attributes}><entry>{inside}</entry>{after}</feed>"


ACCIDENTS = {
    "content leaves an element open": entry("<content>a</content>lost<title>b</title>"),
    "and again": entry("<content>a</content><content type='html'>b</content><summary>c</summary>"),
    "a link of itunes leaves one open": item("<itunes:link href='x'/>lost<title>b</title>"),
    "so that an author never ends": item("<author>A<content>c</content>B</author><title>t</title>"),
    "nor in a link of itunes": item("<author>A<itunes:link/>B</author><title>t</title>"),
    "a title of a medium is none": item("<media:title>m</media:title><title>t</title>"),
    "an image ends with what is in it": item("<image><b/><link>/c</link></image>"),
    "a link comes before a guid": item("<link>/l</link><guid>http://a.example/1</guid>"),
    "a name by another prefix": item(
        "<m:creator>A</m:creator>", names=f"xmlns:dc='{MEDIA}' xmlns:m='{DUBLIN_CORE}'"
    ),
    "which it gets later": item(
        f"<m:creator>A</m:creator><b xmlns:dc='{MEDIA}'/><m:creator>B</m:creator>",
        names=f"xmlns:m='{DUBLIN_CORE}'",
    ),
    "and loses later": item(f"<dc:creator>A</dc:creator><b xmlns:dc='{MEDIA}'/><dc:creator>B</dc:creator>"),
    "and one that lost its prefix": item(
        "<n:title>a</n:title><b xmlns:n='urn:m'/><n:title>b</n:title>", names="xmlns:n='urn:n'"
    ),
    "the shallower title wins": item(
        "<title>a</title><media:group><media:title>b</media:title></media:group>"
    ),
    "so it does later": item("<media:group><media:title>b</media:title></media:group><title>a</title>"),
    "the later title at one depth": item("<title>a</title><dc:title>b</dc:title><title/>"),
    "an image begins titles anew": item(
        "<title>a</title><image><title>b</title><link>c</link></image><title>d</title>"
    ),
    "an image holds what has a prefix": item(
        "", "<title>f</title><image><x:a/><title>i</title></image><link>/f</link>"
    ),
    "a source is somebody else's": item(
        "<source url='u'>s<title>b</title><link>c</link></source><title>a</title>"
    ),
    "what a source said is forgotten": item(
        "<source><summary>a</summary></source><source><summary>b</summary></source>"
        "<description>c</description><description>d</description>"
    ),
    "the title of an image of the feed": item(
        "", "<image><title>i</title><url>u</url></image><title>f</title>"
    ),
    "a second description is content": item("<description>a</description><description>b</description>"),
    "but not behind content": item(
        "<description>a</description><content:encoded>c</content:encoded><description>b</description>"
    ),
    "content is the summary": item("<content:encoded>c</content:encoded>"),
    "unless it is XML": entry("<content type='application/xml'>a</content>"),
    "a summary of itunes before": item("<itunes:summary>a</itunes:summary><description>b</description>"),
    "a summary of the feed": item(
        "<description>b</description>", "<itunes:summary>a</itunes:summary><description>d</description>"
    ),
    "the description of a medium": item(
        "<media:content url='u'><media:description>m</media:description></media:content>"
    ),
    "a body": item("<body xmlns='http://www.w3.org/1999/xhtml'>a <b>c</b></body>"),
    "markup in a text": item("<title>a <b class='c' D='&quot;&lt;'>b</b> &amp; c</title>"),
    "types in capitals in markup": item("<title>a <b type='B' rel='C'>b</b></title>"),
    "text outside of the channel": "<rss><title>t</title><ttl>5</ttl><channel><item/></channel><title>u</title></rss>",
    "a div in HTML never counts": item(
        "<description>a<div>b</div></description><title>t</title><title>u</title>"
    ),
    "one div of XHTML goes": entry(f"<content type='xhtml'><div {XHTML}>a<p>b</p></div></content>"),
    "it stays in RSS": item(f"<body {XHTML}><div>a</div></body>"),
    "two stay": entry(f"<content type='xhtml'><div {XHTML}>a</div><div {XHTML}>b</div></content>"),
    "with white space around": entry(f"<content type='xhtml'>\n <div {XHTML} class='c'>a</div>\n </content>"),
    "divs in divs": entry(f"<content type='xhtml'><div {XHTML}><div>a</div><br/></div></content>"),
    "under a prefix": entry(
        "<content type='xhtml'><h:div xmlns:h='http://www.w3.org/1999/xhtml'><h:p>a</h:p></h:div></content>"
    ),
    "attributes in a namespace": entry(
        f"<content type='xhtml'><p {XHTML} xmlns:y='urn:y' y:z='1' xml:lang='de'>a</p></content>"
    ),
    "XLink is an attribute": entry(
        "<content type='xhtml'><p xmlns:l='http://www.w3.org/1999/xlink' l:href='a'>b</p></content>"
    ),
    "text that looks like HTML": item(
        "<title>a &lt;b>c&lt;/b></title><itunes:subtitle>&lt;b>s&lt;/b></itunes:subtitle>"
    ),
    "not in Atom": entry("<title>a &lt;b>c&lt;/b></title>"),
    "text that does not": item("<title>a &lt;blink>c&lt;/blink></title>"),
    "nor with such a reference": item("<title>a &amp;bogus; &lt;/b></title>"),
    "UTF-8 as Latin-1": item("<title>Ã©</title><description>Ã© 漢</description>"),
    "Windows-1252 as Latin-1": item("<title>&#146;é&#x85;</title>"),
    "the detail of an author is another's": item("<author>X</author><author><a:name>Y</a:name></author>"),
    "an author in two forms": item("<author>a@b.example (A)</author><dc:creator>B</dc:creator>"),
    "an author in two brackets": item("<author>((A)) a@b.example</author>"),
    "an address with a subject": item("<author>A &lt;a@b.example?subject=x> &lt;></author>"),
    "an address in brackets": item("<author>(a.b+c@[1.2.3.4])</author>"),
    "no author": item("<author/>"),
    "an owner is an author": item(
        "",
        "<itunes:owner><itunes:name>O</itunes:name><itunes:email>o@p.example</itunes:email></itunes:owner>",
    ),
    "of an item too": item("<author>A</author><itunes:owner><itunes:name>O</itunes:name></itunes:owner>"),
    "of an item by his address": item(
        "<author>A</author>"
        "<itunes:owner><itunes:email>o@p.example</itunes:email><itunes:name>O</itunes:name></itunes:owner>"
    ),
    "an address written twice": item("<author>a@b.example (A) a@b.example</author>"),
    "authors of Atom": entry(
        "<author><name>A</name><email>a@b.example</email></author><author><uri>u</uri></author><author><name>B</name></author>"
    ),
    "a publisher by his own name": item(
        "<publisher>P</publisher><dc:publisher>Q</dc:publisher>", "<publisher>P</publisher><webMaster/>"
    ),
    "contributors are none": entry(
        "<contributor><name>C</name></contributor><author><name>A</name></author>"
    ),
    "a long author is cut": item(f"<author>{'a ' * 600}</author>"),
    "a long date is cut": item(f"<pubDate>{'1 ' * 300}</pubDate>"),
    "a date that is none wins": item("<pubDate>2020-01-10</pubDate><pubDate>never</pubDate><dc:date/>"),
    "a date without a name": item("<date>2020-01-10</date><modified>2020-01-11</modified>"),
    "a date with attributes": item("<dc:date>2020-01-10</dc:date><date x='y'>2020-01-11</date>"),
    "a guid is a link": item("<guid>http://a.example/1</guid>"),
    "unless it says": item("<guid isPermaLink='false'>http://a.example/1</guid>"),
    "in capitals": item("<guid isPermaLink='TRUE'>http://a.example/1</guid><link>/b?c=1&amp;d;=2</link>"),
    "an id is not resolved": entry("<id>/1</id><link rel='self' href='/2'/>"),
    "the last link that is one": entry(
        "<link href='a'/><link rel='self' href='b'/><link type='text/plain' href='c'/><link rel='ALTERNATE' href='d'/>"
    ),
    "unless it leads to no page": entry("<link href='a'/><link type='text/plain' href='b'/>"),
    "a link that outlives its image": item(
        "<link>/l</link><creativeCommons:license>c</creativeCommons:license><image><link>/i<b/></link></image>"
    ),
    "or comes after what is attached": item(
        "<link>/l</link><enclosure url='e'/><image><link>/i<b/></link></image>"
    ),
    "a link of an image is the feed's": item(
        "<image><link href='/i'/></image><guid>http://a.example/1</guid>", "<image><url>u</url></image>"
    ),
    "a link in a text": item("<link>http:////a.example//b</link><link/><link> </link>"),
    "a link escaped twice": item("<link>/a?b=1&amp;amp;c=2&amp;d;e</link>"),
    "a link that is none": item("<link>http://[bad</link><link href='http://[bad'/>"),
    "a link has a URL": item("<link url='u' href='h'/><enclosure url='e'/><link>t</link>"),
    "an empty one": item("<link href=''/>"),
    "bases": entry(
        "<link href='x'/><content type='html' xml:base='c/'>d</content>", "xml:base='http://b.example/a/'"
    ),
    "a base without a prefix": item(
        "<link>x</link><description base='http://b.example/'>d</description>", attributes="base='/q/'"
    ),
    "a base of another sort": item("<link>x</link>", attributes="xml:base='javascript:y'"),
    "languages": entry(
        "<title>a</title><summary xml:lang=''>b</summary><content lang='en_US'>c</content>",
        "xml:lang='de_AT'",
    ),
    "the language of RSS": item("<title>a</title>", attributes="xml:lang='de_AT'"),
    "a language of its own": item("<dc:language>fr</dc:language><title>a</title>", "<language>de</language>"),
    "a prefix that means another": item(
        "<dc:title>a</dc:title>",
        names="xmlns:dc='http://search.yahoo.com/mrss/' xmlns:m='http://purl.org/dc/elements/1.1/'",
    ),
    "an unknown namespace by a known prefix": item(
        "<content:encoded>a</content:encoded>",
        names="xmlns:content='http://purl.org/rss/1.0/modules/content'",
    ),
    "a prefix that is bound again": item(
        "<x:title xmlns:x='http://purl.org/dc/elements/1.1/'>a</x:title><x:title>b</x:title>"
    ),
    "a namespace is never forgotten": item(
        "<n:foo xmlns:n='urn:n'>a</n:foo><foo xmlns='urn:n'>b</foo><description>c</description>"
    ),
    "another one of Userland by a known prefix": item(
        "<m:creator>A</m:creator>",
        names=f"xmlns:dc='http://backend.userland.com/rss2' xmlns:m='{DUBLIN_CORE}'",
    ),
    "a namespace with a prefix and without": item(
        "<title xmlns='urn:n' xmlns:n='urn:n'>a</title><title>b</title>"
    ),
    "a version under a prefix": item("<a/>", names="xmlns:n='http://my.netscape.com/rdf/simple/0.9/'"),
    "names in capitals": item("<TITLE>a</TITLE><PubDate>2020-01-10</PubDate>"),
    "any namespace of Userland": item("<title>a</title>", names="xmlns='http://backend.userland.com/rss2'"),
    "Atom before RSS": f"<rss xmlns:a='{ATOM}' version='0.91'>"
    "<channel><item><a:title>a &lt;b>&lt;/b></a:title></item></channel></rss>",
    "RDF": f"<rdf:RDF {RDF}><channel><title>c</title></channel>"
    "<item rdf:about='urn:1'><title>a</title></item><textinput><title>t</title></textinput></rdf:RDF>",
    "RDF of Atom's": f"<rdf:RDF xmlns:a='{ATOM}' {RDF}><item/></rdf:RDF>",
    "items in items": item("<title>a</title><item><title>b</title></item><description>c</description>"),
    "items behind the channel": "<rss><channel><title>c</title></channel>"
    "<item><title>a</title><link>b</link></item><title>d</title></rss>",
    "a license": item("<creativeCommons:license>http://l.example/</creativeCommons:license><link>a</link>"),
    "a category in a category": item(
        "<itunes:category text='a'><itunes:category text='b'/></itunes:category><category>c</category>"
    ),
    "the text of an unknown element": item(
        "<x:foo>a<title>b</title>c</x:foo><ttl>5</ttl>", "<ttl>60</ttl><ttl>x</ttl>"
    ),
    "an unknown one with attributes": item("<x:foo>a<x:foo y='z'/>b</x:foo><title>c</title>"),
    "a width that is none": item("", "<image><width>w</width><height>1</height><url>u</url></image>"),
    "a text input ends with what is in it": item("", "<textInput><b/><title>t</title></textInput>"),
    "a text input": item(
        "", "<textInput><title>t</title><name>n</name><link>l</link></textInput><title>f</title>"
    ),
    "text by its old name": entry("<title type='plain'>a &lt;b></title>"),
    "types in capitals": entry(
        "<title type='HTML'>a &lt;b>c&lt;/b></title><summary type='TEXT/HTML'>d</summary>"
    ),
    "no text in base64": entry("<content type='application/pdf' src='u'/><title>a</title>"),
    "RDF that is no feed": "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'/>",
    "a declaration that is no such": "<?xml-stylesheet href='a'?>" + item("<title>a</title>"),
    "a document type": "<?xml version='1.0'?>\n<!DOCTYPE rss PUBLIC '-//Netscape//DTD RSS 0.91//EN' 'd'>\n"
    + item("<title>a</title>"),
    "a document type that is empty": "<!DOCTYPE feed [ ]>" + entry("<title>a</title>"),
    "a document type that says nothing": " <!-- a -->\n <!DOCTYPE rss>" + item("<title>a</title>"),
    "a document type in a comment": "<!--\n<!DOCTYPE a>\n<!DOCTYPE netscape>-->" + item("<title>a</title>"),
    "chapters": item(
        "<psc:chapters><psc:chapter start='0:00'>x</psc:chapter>y</psc:chapters><psc:chapter/><title>a</title>"
        "<psc:chapters/><psc:chapter/>",
        names="xmlns:psc='http://podlove.org/simple-chapters'",
    ),
    "another version of XML": "<?xml version='1.1' encoding='utf-16'?>" + item("<title>a</title>"),
}


@pytest.mark.parametrize("name", sorted(ACCIDENTS))
def test_it_is_done_alike(name: str) -> None:
    assert verdict(ACCIDENTS[name].encode()) == "same"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a/../b/./feed.xml",
        "HTTPS://Example.org",
        "https://example.org/feed#part",
        "http:////example.org/feed",
        "file:///srv/feeds/a.xml",
        "http://[bad/",
        "feed.xml",
    ],
)
def test_whatever_the_address_it_is_done_alike(url: str) -> None:
    inside = "<link>x?y#z</link><description base='q/'>d</description><title>t</title>"
    assert verdict(item(inside).encode(), url) == "same"
