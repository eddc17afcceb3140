"""Bytes to text: the encodings that pages are served in, and the ones they only claim."""

from __future__ import annotations

import codecs
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from digestd.page.charset import decode_html
from page.pages import article, read

GERMAN = "<p>Sicherheitslücken – Übersicht „neu“</p>"


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("utf-8", "utf-8", GERMAN),
        ("UTF8", "utf-8", GERMAN),
        ("windows-1252", "cp1252", GERMAN),
        ("ISO-8859-1", "cp1252", GERMAN),
        ("latin1", "cp1252", GERMAN),
        ("us-ascii", "cp1252", GERMAN),
        ("iso-8859-15", "iso-8859-15", "<p>5 €</p>"),
        ("iso-8859-9", "cp1254", "<p>İstanbul – ağ</p>"),
        ("windows-1251", "cp1251", "<p>Привет</p>"),
        ("x-cp1251", "cp1251", "<p>Привет</p>"),
        ("koi8-r", "koi8-r", "<p>Привет</p>"),
        ("gb2312", "gb18030", "<p>朱镕基 €</p>"),
        ("GBK", "gb18030", "<p>朱镕基 €</p>"),
        ("x-gbk", "gb18030", "<p>朱镕基 €</p>"),
        ("big5", "big5", "<p>安全漏洞</p>"),
        ("Shift_JIS", "cp932", "<p>脆弱性①</p>"),
        ("x-sjis", "cp932", "<p>脆弱性①</p>"),
        ("windows-31j", "cp932", "<p>脆弱性①</p>"),
        ("euc-jp", "euc-jp", "<p>脆弱性</p>"),
        ("iso-2022-jp", "iso-2022-jp", "<p>脆弱性</p>"),
        ("euc-kr", "cp949", "<p>취약점 똠</p>"),
        ("ks_c_5601-1987", "cp949", "<p>취약점 똠</p>"),
        ("tis-620", "cp874", "<p>ช่องโหว่ …</p>"),
    ],
)
def test_labels_mean_what_browsers_mean(label: str, codec: str, text: str) -> None:
    declared = f"<meta charset={label}>{text}"
    quoted = f"<META content='text/html; charset={label}' HTTP-EQUIV = \"Content-Type\" />{text}"
    assert decode_html(text.encode(codec), f'text/html; charset="{label}"') == text
    assert decode_html(declared.encode(codec), "text/html") == declared
    assert decode_html(quoted.encode(codec), None) == quoted


@pytest.mark.parametrize(
    "content_type", [None, "text/html", "text/html; charset=klingon", "text/html; charset="]
)
def test_what_nobody_declares_is_utf8_or_windows_1252(content_type: str | None) -> None:
    assert decode_html(GERMAN.encode(), content_type) == GERMAN
    assert decode_html(GERMAN.encode("cp1252"), content_type) == GERMAN


@pytest.mark.parametrize("label", ["iso-8859-1", "us-ascii", "windows-1252"])
def test_a_careless_label_loses_to_utf8(label: str) -> None:
    declared = f"<meta charset={label}>{GERMAN}"
    assert decode_html(GERMAN.encode(), f"text/html; charset={label}") == GERMAN
    assert decode_html(declared.encode(), None) == declared


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_a_byte_order_mark_comes_before_everything(mark: bytes) -> None:
    codec = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le"}.get(mark, "utf-16-be")
    declared = f"<meta charset=koi8-r>{GERMAN}"
    assert decode_html(mark + declared.encode(codec), "text/html; charset=windows-1251") == declared


def test_the_header_comes_before_the_page() -> None:
    declared = "<meta charset=windows-1251><p>Привет</p>"
    assert decode_html(declared.encode("koi8-r"), "text/html; charset=koi8-r") == declared


def test_a_header_that_cannot_be_true_gives_way_to_the_page() -> None:
    declared = "<meta charset=gb2312><p>安全漏洞</p>"
    assert decode_html(declared.encode("gb18030"), "text/html; charset=utf-8") == declared


def test_utf16_needs_a_mark_or_a_header() -> None:
    assert decode_html(GERMAN.encode("utf-16-le"), "text/html; charset=utf-16") == GERMAN
    # Whoever can read the element as ASCII does not read UTF-16.
    declared = f"<meta charset=utf-16le>{GERMAN}"
    assert decode_html(declared.encode(), None) == declared


@pytest.mark.parametrize(
    "head",
    [
        "<!-- <meta charset=koi8-r> -->",
        "<!-- <meta charset=koi8-r>",
        "<meta name=x content='text/html; charset=koi8-r'>",
        "<metacharset=koi8-r>",
        "<meta name='charset' content=koi8-r>",
        f"<!--{'x' * 5000}--><meta charset=koi8-r>",
        "<meta charset=utf-7>",
        "<meta charset=idna>",
        "<meta charset=rot13>",
        "<meta charset=unicode_escape>",
    ],
)
def test_what_is_no_declaration_is_passed_over(head: str) -> None:
    text = f"{head}{GERMAN}+AGE-\\u0041"
    assert decode_html(text.encode("cp1252"), None) == text


def test_the_first_declaration_counts() -> None:
    text = "<meta charset='' content><meta charset=koi8-r charset=utf-8><meta charset=cp1251>Привет"
    assert decode_html(text.encode("koi8-r"), None) == text


def test_one_broken_byte_spoils_only_itself() -> None:
    assert decode_html(GERMAN.encode() + b"\xff", None) == GERMAN + "\ufffd"
    russian = "<p>Привет</p>" * 10
    assert decode_html(russian.encode("cp1251") + b"\x98", "text/html; charset=cp1251") == russian + "\ufffd"


def test_a_page_is_read_in_its_charset() -> None:
    html = article('<meta charset="windows-1252">').replace("crafted", "schön „gebaute“")
    assert "one schön „gebaute“ request" in read(html.encode("cp1252"), content_type="text/html").text


def test_a_page_made_of_declarations_takes_no_time() -> None:
    start = time.perf_counter()
    for hostile in (b"<meta ", b"<meta " + b"a" * 10_000, b"<meta " + b"charset" + b" " * 10_000, b"<!--"):
        decode_html(hostile * 2_000, "text/html; charset=" + "x" * 10_000)
    assert time.perf_counter() - start < 2


@given(st.binary(max_size=500), st.one_of(st.none(), st.text(max_size=60)))
def test_arbitrary_bytes_never_raise(body: bytes, content_type: str | None) -> None:
    assert isinstance(decode_html(body, content_type), str)


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1), st.sampled_from(["utf-8", "gb18030"]))
def test_what_is_encoded_as_declared_comes_back(text: str, codec: str) -> None:
    encoded = text.encode(codec)
    assume(not encoded.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)))
    assert decode_html(encoded, f"text/html; charset={codec}") == text
