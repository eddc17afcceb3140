"""Who may see the status page."""

from __future__ import annotations

import re

import pytest

from digestd.config.access import Secret
from digestd.web.address import Address
from digestd.web.pages.gate import COOKIE, SESSION_SECONDS, Gate

LOOPBACK, WIDE = Address("127.0.0.1", 80), Address("0.0.0.0", 80)
TOKEN = "correct-horse-battery-staple"


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_900_000_000.0

    def __call__(self) -> float:
        return self.seconds


def gate(address: Address = WIDE, token: str | None = TOKEN, clock: Clock | None = None) -> Gate:
    return Gate(address, None if token is None else Secret(token), clock or Clock())


def cookie(gate: Gate, *, secure: bool = False) -> str:
    return gate.session(secure=secure).split(";")[0].removeprefix(f"{COOKIE}=")


def test_on_loopback_everybody_may_unless_there_is_a_token() -> None:
    assert (gate(LOOPBACK, None).access, gate(LOOPBACK, None).admits(None, {})) == ("open", True)
    assert (gate(LOOPBACK).access, gate(LOOPBACK).admits(None, {})) == ("token", False)


def test_beyond_loopback_nobody_may_without_a_token() -> None:
    shut = gate(WIDE, None)
    assert (shut.access, shut.admits("Bearer ", {COOKIE: ""}), shut.is_token("")) == ("shut", False, False)


@pytest.mark.parametrize(
    ("field", "admitted"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer  {TOKEN} ", True),
        (f"Basic {TOKEN}", False),
        (f"Bearer {TOKEN}x", False),
        (f"Bearer {TOKEN[:-1]}", False),
        ("Bearer", False),
        (TOKEN, False),
        ("Bearer ünïcødé\udc80", False),
        (None, False),
    ],
)
def test_a_program_gives_the_token_itself(field: str | None, admitted: bool) -> None:
    assert gate().admits(field, {}) is admitted


def test_a_browser_gets_a_cookie_that_lasts_a_week_and_holds_no_token() -> None:
    clock = Clock()
    its = gate(clock=clock)
    value = its.session(secure=False)
    assert re.fullmatch(
        rf"digestd_session=1900604800\.[0-9a-f]{{64}}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Lax",
        value,
    )
    assert TOKEN not in value
    assert its.session(secure=True) == value + "; Secure"
    assert its.admits(None, {COOKIE: cookie(its)})
    clock.seconds += SESSION_SECONDS - 1
    assert gate(clock=clock).admits(None, {COOKIE: value.split(";")[0].removeprefix(f"{COOKIE}=")})
    clock.seconds += 1
    assert not gate(clock=clock).admits(None, {COOKIE: value.split(";")[0].removeprefix(f"{COOKIE}=")})


def test_every_process_with_the_token_takes_it_and_no_other_does() -> None:
    value = cookie(gate())
    assert gate(LOOPBACK).admits(None, {COOKIE: value})
    assert not gate(token="another-token-of-the-length").admits(None, {COOKIE: value})


@pytest.mark.parametrize("change", ["2", "x", ".", "1900604800.", "9" * 40 + "." + "0" * 64, "²." + "0" * 64])
def test_a_cookie_that_was_changed_is_none(change: str) -> None:
    value = cookie(gate())
    for changed in (change + value, value + change, change, ""):
        assert not gate().admits(None, {COOKIE: changed})


def test_later_is_not_made_by_hand() -> None:
    until, _, mark = cookie(gate()).partition(".")
    assert not gate().admits(None, {COOKIE: f"{int(until) + 1}.{mark}"})


def test_a_session_can_be_ended() -> None:
    assert gate().farewell(secure=False) == "digestd_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
