"""What OPML says, whoever wrote it; and what is written is read again."""

from __future__ import annotations

import re
import string
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.errors import ListError
from digestd.feed.lists.item import LARGEST_BYTES, ReadList, Told
from digestd.feed.lists.opml import DEEPEST, MOST_ELEMENTS, printable, read_opml
from digestd.feed.lists.opml_writing import write_opml
from support.corpus import corpus_path

FEED = '<outline text="A" type="rss" xmlUrl="https://a.example/"/>'


def opml(body: str, declared: str = "UTF-8") -> str:
    return (
        f'<?xml version="1.0" encoding="{declared}"?>\n<opml version="2.0">\n<body>\n{body}\n</body></opml>'
    )


def read(body: str) -> ReadList:
    return read_opml(opml(body).encode())


def only(body: str) -> dict[str, Any]:
    (item,) = read(body).items
    return dict(item.data)


def refusal(body: bytes) -> str:
    with pytest.raises(ListError) as caught:
        read_opml(body)
    return str(caught.value)


def outcome(body: bytes) -> str:
    """How many feeds `body` has, or why it is none."""
    try:
        return str(len(read_opml(body).items))
    except ListError as error:
        return str(error)


class TestFeeds:
    def test_an_outline_is_a_source_with_its_line(self) -> None:
        found = read(f'\n{FEED}\n<outline title="B" xmlUrl=" https://b.example/ " language="pt-BR"/>')
        assert [item.line for item in found.items] == [5, 6]
        assert found.items[1].data == {
            "name": "B",
            "kind": "feed",
            "url": "https://b.example/",
            "category": None,
            "language": "pt-BR",
        }
        assert found.others == ()

    def test_lines_are_those_of_the_file_whatever_stands_before_the_document(self) -> None:
        assert [item.line for item in read_opml(b"\n\n \n" + opml(FEED).encode()).items] == [7]

    def test_folders_make_the_category_and_feeds_and_nameless_outlines_none(self) -> None:
        found = read(
            '<outline text="CERT"><outline><outline title="Asia ">'
            '<outline text="x" xmlUrl="https://x.example/"><outline text="y" xmlUrl="https://y.example/"/></outline>'
            f'</outline></outline><outline text="z" xmlUrl="https://z.example/"/></outline>{FEED}'
        )
        assert [(one.data["name"], one.data["category"]) for one in found.items] == [
            ("x", "CERT/Asia"),
            ("y", "CERT/Asia"),
            ("z", "CERT"),
            ("A", None),
        ]

    @pytest.mark.parametrize(
        ("attribute", "category"),
        [("/CERT/Asia,/Other", "CERT/Asia"), ("CERT", "CERT"), ("", None), (" / ", None), (",", None)],
    )
    def test_where_there_is_no_folder_the_attribute_says_it(
        self, attribute: str, category: str | None
    ) -> None:
        feed = f'<outline text="x" xmlUrl="https://x.example/" category="{attribute}"/>'
        assert only(feed)["category"] == category
        assert only(f'<outline text="Folder">{feed}</outline>')["category"] == "Folder"

    @pytest.mark.parametrize(
        ("attributes", "url"),
        [
            ('xmlURL="https://x.example/"', "https://x.example/"),
            ('XMLURL="https://x.example/" TYPE="RSS"', "https://x.example/"),
            ('type="atom" url="https://x.example/"', "https://x.example/"),
            ('xmlUrl="feed://x.example/f"', "http://x.example/f"),
            ('xmlUrl="feed:https://x.example/f"', "https://x.example/f"),
            ('xmlUrl="https://x.example/?a=1&b=2&amp;c=3"', "https://x.example/?a=1&b=2&c=3"),
            ('xmlUrl="https://x.example/?a&lt=1&copy;"', "https://x.example/?a&lt=1©"),
            ('xmlUrl="https://u:p@x.example/"', "https://u:p@x.example/"),
            ('xmlUrl="javascript:alert(1)"', "javascript:alert(1)"),
        ],
    )
    def test_what_programs_write_for_the_address(self, attributes: str, url: str) -> None:
        assert only(f'<outline text="x" {attributes}/>')["url"] == url

    @pytest.mark.parametrize("language", ["unknown", "", "english please", "x" * 100])
    def test_what_is_no_language_is_none(self, language: str) -> None:
        assert (
            only(f'<outline text="x" xmlUrl="https://x.example/" language="{language}"/>')["language"] is None
        )

    @pytest.mark.parametrize(
        ("written", "name"),
        [
            ("a &amp; b &eacute;&nbsp;&unknown; c", "a & b é &unknown; c"),
            ("two\nlines\tof it", "two lines of it"),
            ("a&#0;&#8;\x01\u202eb\u200b\ufeff\ue000\U000e0041", "ab"),
            ("  " + "x" * 300, "x" * 200),
            ("&#xd83d;&#xde00;", "😀"),
            ("a  b", "a  b"),
        ],
    )
    def test_names_are_one_line_that_shows(self, written: str, name: str) -> None:
        assert only(f'<outline text="{written}" xmlUrl="https://x.example/"/>')["name"] == name

    def test_a_name_is_the_text_else_the_title(self) -> None:
        url = 'xmlUrl="https://x.example/"'
        assert only(f'<outline text="mine" title="theirs" {url}/>')["name"] == "mine"
        assert only(f'<outline text=" &#8; " title="theirs" {url}/>')["name"] == "theirs"
        assert only(f"<outline {url}/>")["name"] == ""

    @pytest.mark.parametrize(
        ("declared", "codec", "mark"),
        [
            ("windows-1251", "cp1251", b""),
            ("ISO-8859-1", "utf-8", b""),
            ("UTF-8", "cp1251", b""),
            ("UTF-8", "utf-8", b"\xef\xbb\xbf"),
            ("UTF-16", "utf-16-le", b"\xff\xfe"),
            ("UTF-16", "utf-16-be", b""),
            ("no-such-thing", "utf-8", b""),
        ],
    )
    def test_character_sets_are_read_as_they_are_meant(self, declared: str, codec: str, mark: bytes) -> None:
        text = opml('<outline text="Новости" xmlUrl="https://x.example/"/>', declared)
        (item,) = read_opml(mark + text.encode(codec)).items
        expected = "Новости" if (declared, codec) != ("UTF-8", "cp1251") else "Íîâîñòè"
        assert item.data["name"] == expected


class TestOthers:
    @pytest.mark.parametrize(
        ("outline", "reason"),
        [
            (
                '<outline text="N" type="include" url="https://o.example/x.opml?k=s3cret"/>',
                "is another list (type include), which is not fetched: https://o.example/x.opml?k=***",
            ),
            ('<outline text="N" type="include"/>', "is another list (type include), which is not fetched"),
            (
                '<outline text="N" type="link" url="https://u:s3cret@o.example/"/>',
                "is a link, and no feed: https://***@o.example/",
            ),
            (
                '<outline text="N" htmlUrl="https://o.example/"/>',
                "has no feed (xmlUrl), only a page: https://o.example/",
            ),
            ('<outline text="N" type="rss"/>', "has no feed's address (xmlUrl)"),
            ('<outline text="N" xmlUrl=" "/>', "has no feed's address (xmlUrl)"),
            (
                '<outline text="N" isComment="true" xmlUrl="https://o.example/"/>',
                "is commented out (isComment)",
            ),
        ],
    )
    def test_what_is_no_feed_is_told(self, outline: str, reason: str) -> None:
        assert read(f"{FEED}{outline}").others == (Told(4, "N", reason),)

    def test_what_stands_in_a_comment_is_commented_out_too(self) -> None:
        found = read(f'<outline text="F" isComment="true"><outline>{FEED}</outline></outline>{FEED}')
        assert found.others == (Told(4, "A", "is commented out (isComment)"),)
        assert [one.data["category"] for one in found.items] == [None]

    def test_an_outline_of_something_else_has_no_feeds(self) -> None:
        assert read('<outline text="To do"><outline text="Milk"/></outline>') == ReadList((), ())


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            (b"", "line 1: no well-formed XML: no element found"),
            (b"<html><body>Log in</body></html>", "it is no OPML: it begins with <html>"),
            (b"<rss><channel/></rss>", "it is no OPML: it begins with <rss>"),
            (b"sources:\n", "line 1: no well-formed XML: syntax error"),
            (opml(FEED)[:-12].encode(), "line 5: no well-formed XML: unclosed token"),
            (
                opml('\n<outline text="a < b"/>').encode(),
                "line 5: no well-formed XML: not well-formed (invalid token)",
            ),
            (
                b'<?xml version="1.0"?>\n<!DOCTYPE opml [<!ENTITY a "aa">]>\n<opml><outline text="&a;"/></opml>',
                "line 2: a document type, which OPML has not; take the line out",
            ),
            (
                b'<!DOCTYPE opml SYSTEM "file:///etc/passwd"><opml/>',
                "line 1: a document type, which OPML has not; take the line out",
            ),
            (opml('<outline text="a">' * 100_000).encode(), "line 4: elements nested more than 64 deep"),
            (b"<opml>" + b"<outline/>" * MOST_ELEMENTS, "it has more than 200,000 elements"),
            (b"<opml>\n" + b"<x>" * 100, "line 2: elements nested more than 64 deep"),
            (b"<opml>\n<outline " + b"a" * 3_000_000, "line 2: a tag of more than 1 MiB"),
            (b" " * (LARGEST_BYTES + 1), "it has more than 32 MiB, which no list of feeds has"),
        ],
    )
    def test_what_is_no_list_is_refused_as_a_whole_with_its_line(self, body: bytes, reason: str) -> None:
        assert refusal(body) == reason

    def test_the_bounds_themselves_are_taken(self) -> None:
        assert only('<outline text="a">' * (DEEPEST - 3) + FEED + "</outline>" * (DEEPEST - 3))["name"] == "A"
        many = b"<opml>" + b"<outline/>" * (MOST_ELEMENTS - 1) + b"</opml>"
        assert read_opml(many) == ReadList((), ())

    @given(
        st.binary(max_size=300)
        | st.text(max_size=300).map(lambda text: opml(text).encode("utf-8", "replace"))
    )
    def test_anything_is_read_or_refused(self, body: bytes) -> None:
        assert outcome(body).isprintable()

    @given(st.text(alphabet="<>&;=\"'/ outline#x[]!-\n", max_size=200))
    def test_so_is_what_looks_like_markup(self, text: str) -> None:
        assert outcome(opml(text).encode()).isprintable()

    def test_so_are_hostile_documents(self) -> None:
        for path in sorted(one for one in corpus_path("feeds-hostile").rglob("*") if one.is_file()):
            assert re.match(r"(line|it|the) ", outcome(path.read_bytes())), path


names = st.text(min_size=1, max_size=200).map(lambda text: printable(text, 200)).filter(bool)
categories = st.none() | st.text(alphabet=string.ascii_letters + " /&<>\"'é", min_size=1, max_size=40).map(
    lambda text: printable(text, 200) or None
)
urls = st.text(alphabet=string.ascii_letters + "?=&%'\"<>é/", max_size=30).map("https://x.example/{}".format)
languages = st.none() | st.sampled_from(["en", "pt-BR", "zh-Hant"])


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    made = {"name": draw(names), "url": draw(urls), "category": draw(categories), "language": draw(languages)}
    return {key: value for key, value in made.items() if value is not None}


class TestWriting:
    @given(st.lists(entries(), max_size=8, unique_by=lambda entry: entry["name"]))
    def test_what_is_written_is_read_again(self, some: list[dict[str, Any]]) -> None:
        text = write_opml(some)
        found = read_opml(text.encode())
        kept = [{key: value for key, value in item.data.items() if value is not None} for item in found.items]
        by_name = {entry["name"]: {"kind": "feed", **entry} for entry in some}
        assert {entry["name"]: entry for entry in kept} == by_name
        assert len(kept) == len(some)
        assert found.others == ()
        # The order is that of the file: it is the same for the same sources.
        assert write_opml(kept) == write_opml(list(reversed(some))) == text

    @given(st.text(max_size=50), st.text(max_size=50))
    def test_any_text_makes_well_formed_xml(self, name: str, category: str) -> None:
        text = write_opml([{"name": name, "url": "https://x.example/", "category": category}])
        # By another reader, which mends nothing.
        assert len(list(ElementTree.fromstring(text.encode("utf-8", "replace")).iter("outline"))) >= 1
        assert len(read_opml(text.encode("utf-8", "replace")).items) == 1

    def test_categories_are_folders(self) -> None:
        made = [
            {"name": "c", "url": "https://c.example/", "category": "CERT/Asia"},
            {"name": "b", "url": "https://b.example/?a=1&b=2", "category": "CERT", "language": "de"},
            {"name": 'a "quoted"', "url": "https://a.example/"},
            {"name": "d", "url": "https://d.example/", "category": "News"},
        ]
        text = write_opml(made)
        assert text == (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<opml version="2.0">\n'
            "  <head>\n"
            "    <title>Sources of digestd</title>\n"
            "  </head>\n"
            "  <body>\n"
            """    <outline type="rss" text='a "quoted"' title='a "quoted"' xmlUrl="https://a.example/"/>\n"""
            '    <outline text="CERT">\n'
            '      <outline type="rss" text="b" title="b" xmlUrl="https://b.example/?a=1&amp;b=2" language="de"/>\n'
            '      <outline text="Asia">\n'
            '        <outline type="rss" text="c" title="c" xmlUrl="https://c.example/"/>\n'
            "      </outline>\n"
            "    </outline>\n"
            '    <outline text="News">\n'
            '      <outline type="rss" text="d" title="d" xmlUrl="https://d.example/"/>\n'
            "    </outline>\n"
            "  </body>\n"
            "</opml>\n"
        )
        ElementTree.fromstring(text.encode())

    def test_a_category_that_would_not_come_back_is_one_folder(self) -> None:
        deep = "/".join("abcdefghi")
        for category in ("a//b", "/a", "a /b", deep):
            text = write_opml([{"name": "n", "url": "https://x.example/", "category": category}])
            assert f'<outline text="{category}">' in text
