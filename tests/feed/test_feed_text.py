"""Text from outside, made fit to be kept and shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.text import collapse, storable, strip_controls


def test_controls_are_stripped() -> None:
    assert strip_controls("a\x1b[31mred\x9b0m\r\x07\x7f") == "a[31mred0m"
    assert strip_controls("tab\tline\n é \U0001f600") == "tab\tline\n é \U0001f600"
    assert strip_controls("evil\u202egpj.exe\u2066\u200f") == "evilgpj.exe"


def test_what_no_database_takes_is_mended() -> None:
    assert storable("a\x00b\ud800c") == "ab\ufffdc"


def test_white_space_is_collapsed() -> None:
    assert collapse(" a \n\t b\u00a0c ") == "a b c"


@given(st.text(alphabet=st.characters(codec=None)))
def test_what_is_stripped_can_be_written(text: str) -> None:
    strip_controls(text).encode()
    assert "\x00" not in storable(text).encode().decode()


@given(st.text(alphabet=st.sampled_from("ab\x00\ud800\udfffé漢😀\ue000\x7f")))
def test_what_is_kept_as_it_is_needs_no_mending(text: str) -> None:
    mended = storable(text)
    assert (mended != text) == any(character in text for character in ("\x00", "\ud800", "\udfff"))
    mended.encode()
