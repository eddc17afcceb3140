"""Bytes to text: the encodings that feeds are served in, and the ones they only claim."""

from __future__ import annotations

import codecs
import encodings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.encoding import decode, mend, without_margin

TEXT = "<rss>Sicherheitslücken – Übersicht „neu“ für alle Geräte, größte Lücken, größter Ärger</rss>"


def _declared(name: str) -> str:
    return f"<?xml version='1.0' encoding='{name}'?>{TEXT}"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/xml",
        "text/html",
        "application/octet-stream",
        "application/rss+xml",
        "text/plain; charset=us-ascii",
        "text/xml; charset=ISO-8859-1",
        "text/xml;charset='utf-8'",
        'text/xml; charset="UTF8"',
        "text/xml; charset=klingon",
    ],
)
@pytest.mark.parametrize(
    "declaration", ["", "<?xml version='1.0'?>", "<?xml version='1.0' encoding='iso-8859-1'?>"]
)
def test_utf8_is_read_whatever_carelessly_is_said_of_it(content_type: str | None, declaration: str) -> None:
    assert decode((declaration + TEXT).encode(), content_type) == declaration + TEXT


@pytest.mark.parametrize("name", ["windows-1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb2312"])
def test_the_declaration_is_followed(name: str) -> None:
    codec = "gb18030" if name == "gb2312" else name
    assert decode(_declared(name).encode(codec), None) == _declared(name)


def test_utf16_without_a_mark_is_told_by_its_first_bytes() -> None:
    text = "<?xml version='1.0' encoding='utf-16'?><rss>ASCII</rss>"
    assert decode(text.encode("utf-16-be"), "text/xml; charset=utf-8") == text


def test_ebcdic_is_told_by_its_first_bytes() -> None:
    text = "<?xml version='1.0' encoding='cp500'?><rss>[Lücke]</rss>"
    assert decode(text.encode("cp500"), "text/xml") == text


def test_the_charset_of_the_header_comes_before_the_declaration() -> None:
    text = "<?xml version='1.0' encoding='iso-8859-5'?><rss>Привет</rss>"
    assert decode(text.encode("koi8-r"), "text/xml; charset=koi8-r") == text


@pytest.mark.parametrize(("mark", "codec"), [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le")])
def test_a_byte_order_mark_comes_before_everything(mark: bytes, codec: str) -> None:
    assert decode(mark + _declared("iso-8859-1").encode(codec), "text/xml; charset=iso-8859-1") == _declared(
        "iso-8859-1"
    )


def test_one_broken_byte_spoils_only_itself() -> None:
    broken = TEXT.encode().replace("größter".encode(), b"gr\xff\xfe\xc3ter")
    assert decode(broken, "text/xml").count("ü") == TEXT.count("ü")


def test_bytes_that_are_no_utf8_are_read_as_windows_1252() -> None:
    assert decode(TEXT.encode("cp1252"), "text/xml") == TEXT
    assert decode(TEXT.encode("cp1252"), "text/xml; charset=utf-8") == TEXT


@pytest.mark.parametrize(
    "name", ["unicode_escape", "punycode", "idna", "zlib", "rot13", "hex", "a\x00b", "utf-7", "ü"]
)
def test_codecs_that_are_no_character_sets_are_not_used(name: str) -> None:
    body = f"<?xml version='1.0' encoding='{name}'?><rss>+AGE- \\u0041</rss>"
    assert decode(body.encode(), f"text/xml; charset={name}") == body


@given(st.binary(), st.none() | st.text())
def test_never_raises(body: bytes, content_type: str | None) -> None:
    decode(body, content_type).encode()


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("\ufeff\n \t<?xml?>", "<?xml?>"),
        ("a\x00b\x1fc\ufffe\td", "abc\td"),
        ("&#xD83D;&#xDE00; &#55357;&#56832;", "&#128512; &#128512;"),
        ("&#xD800; &#8; &#x0; &#99999999999999999999999; &#x110000; &#xFFFF;", "     "),
        ("&#65;&#x41;&#10;&#x1F600;&amp;&#no;", "&#65;&#x41;&#10;&#x1F600;&amp;&#no;"),
    ],
)
def test_mends_what_no_xml_parser_takes(text: str, mended: str) -> None:
    assert mend(text) == mended


@pytest.mark.parametrize(
    ("claimed", "codec"),
    [
        ("KOI8_R", "koi8-r"),
        ("csISOLatinCyrillic", "iso-8859-5"),
        ("iso_8859-5:1988", "iso-8859-5"),
        ("iso.8859.5", "iso-8859-5"),
        ("mac_cyrillic", "mac-cyrillic"),
    ],
)
def test_names_are_known_in_any_spelling(claimed: str, codec: str) -> None:
    assert decode("Привет".encode(codec), f"text/xml; charset={claimed}") == "Привет"


def test_names_that_are_made_up_are_not_remembered() -> None:
    # Python keeps every name that it was asked for, for as long as its process lives.
    before = len(encodings._cache)
    for number in range(100):
        decode(b"<rss/>", f"text/xml; charset=no-such-{number}")
        decode(f"<?xml version='1.0' encoding='none-{number}'?><rss/>".encode(), None)
        decode(b"<rss/>", f"text/xml; charset=utf{'-' * number}8")
        decode(b"<rss/>", f"text/xml; charset={'z' * 60_000}{number}")
    assert len(encodings._cache) <= before + 1


def test_references_to_characters_that_xml_has_stay_and_the_others_go() -> None:
    forbidden = [*range(0x9), 0xB, 0xC, *range(0xE, 0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF, 0x110000]
    allowed = [
        0x9,
        0xA,
        0xD,
        *range(0x20, 0x3000),
        *range(0xD000, 0xD800),
        *range(0xE000, 0xE100),
        0xFFFD,
        0x10FFFF,
    ]
    for form in ("&#{};", "&#0{};", "&#x{:x};", "&#X{:X};", "&#x0{:x};"):
        assert [code for code in forbidden if mend("a" + form.format(code)) != "a"] == []
        assert [code for code in allowed if mend("a" + form.format(code)) != "a" + form.format(code)] == []


@given(st.text(alphabet="\ufeff \n<a>&#8;x1\x00\x01\ufffe"))
def test_what_xml_parsers_take_is_mended_by_its_margin_alone(text: str) -> None:
    if not set(text) & {"\x00", "\x01", "\ufffe"}:
        assert without_margin(text) == mend(text)
