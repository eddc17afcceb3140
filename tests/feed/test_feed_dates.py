"""Dates: what feeds write, what feedparser slips on, and that neither clock nor time zone takes part."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from digestd.feed import dates
from digestd.feed.dates import parse_date

READ = {
    # RFC 822 and 5322
    "Fri, 10 Jan 2020 10:11:12 GMT": "2020-01-10T10:11:12",
    "Fri, 10 Jan 2020 10:11:12 +0200": "2020-01-10T08:11:12",
    "Fri, 10 Jan 2020 10:11:12 EST": "2020-01-10T15:11:12",
    "Fri, 10 Jan 2020 10:11 -0700 (MST)": "2020-01-10T17:11:00",
    "Fri, 10 Jan 2020 10:11:12": "2020-01-10T10:11:12",
    "Mon, 10 Jan 2020 10:11:12 GMT": "2020-01-10T10:11:12",
    "Fri, 10 Jan 2020 10:11:12 +9900": "2020-01-10T10:11:12",
    "10 January 2020": "2020-01-10T00:00:00",
    "Fri,10 Jan 20 10:11:12 Nowhere": "2020-01-10T10:11:12",
    "Sunday, 06-Nov-94 08:49:37 GMT": "1994-11-06T08:49:37",
    "10 Jan 103 00:00:00 GMT": "2003-01-10T00:00:00",
    "Thu, Jan 10 2020 10:11:12 Etc/GMT": "2020-01-10T10:11:12",
    # asctime, the command date, JavaScript
    "Thu Jan  1 01:02:03 2004": "2004-01-01T01:02:03",
    "Thu Jan 01 01:02:03 EST 2004": "2004-01-01T06:02:03",
    "Fri Jan 10 2020 10:00:00 GMT+0200 (Central European Summer Time)": "2020-01-10T08:00:00",
    # W3C-DTF and ISO 8601
    "2020-01-10T10:11:12Z": "2020-01-10T10:11:12",
    "2020-01-10T10:11:12.345678+05:30": "2020-01-10T04:41:12",
    "2020-01-10 10:11:12": "2020-01-10T10:11:12",
    "2020-01-10T10:11-0800": "2020-01-10T18:11:00",
    "2020-01-10+02:00": "2020-01-09T22:00:00",
    "2020-01": "2020-01-01T00:00:00",
    "2020": "2020-01-01T00:00:00",
    "20200110": "2020-01-10T00:00:00",
    "20200110T101112Z": "2020-01-10T10:11:12",
    "2003-335": "2003-12-01T00:00:00",
    # other languages
    "lun., 10 févr. 2020 10:00:00 +0100": "2020-02-10T09:00:00",
    "10. März 2020": "2020-03-10T00:00:00",
    "2004-július-13T9:15-05:00": "2004-07-13T14:15:00",
    "Κυρ, 11 Ιούλ 2004 12:00:00 EST": "2004-07-11T17:00:00",
    "2004년 05월 28일  01:31:15": "2004-05-28T01:31:15",
    "2004-05-25 오후 11:23:17": "2004-05-25T23:23:17",
    # odd ones
    "January 10, 2020 at 3:04 PM": "2020-01-10T15:04:00",
    "10/13/2020 12:04:05 AM": "2020-10-13T00:04:05",
    "10.01.2020 10:11": "2020-01-10T10:11:00",
    "\n  Fri, 10 Jan 2020\t10:11:12 GMT ": "2020-01-10T10:11:12",
}

SLIPS_OF_FEEDPARSER = {
    # It reads the first four as the first day of the month that it is today.
    "2020/1/10": "2020-01-10T00:00:00",
    "2020/01/10 10:11:12": "2020-01-10T10:11:12",
    "2020.01.10": "2020-01-10T00:00:00",
    "2020年1月10日": "2020-01-10T00:00:00",
    "20": None,
    "--01": None,
    "---10": None,
    # January 2021 and 1 March.
    "2020-13-10": None,
    "2020-02-30": None,
    # Ten in the morning, and no zone.
    "2020-01-10 10:11:12 PM": "2020-01-10T22:11:12",
    "2020-01-10T10:11:12 EST": "2020-01-10T15:11:12",
    # The time zone of the machine decides.
    "2004-10-31T24:00:00Z": "2004-11-01T00:00:00",
    "2020-01-01T10:59:60Z": "2020-01-01T11:00:00",
    # Nothing at all.
    "Fri, 10 Jan 2020 24:00:00 GMT": "2020-01-11T00:00:00",
    "Sat, 31 Dec 2016 23:59:60 GMT": "2017-01-01T00:00:00",
    "10-Jan-2020 10:00": "2020-01-10T10:00:00",
    # RFC 5322, 4.3 says 1970.
    "Sat, 10 Jan 70 10:00:00 GMT": "1970-01-10T10:00:00",
}

UNREADABLE = [
    "",
    "yesterday",
    "10/11/2020",
    "13/10/2020",
    "0000-00-00",
    "0000-00-00T00:00:00Z",
    "30000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+02:00",
    "9999-12-31T23:59:59-02:00",
    "Fri, 32 Jan 2020 10:00:00 GMT",
    "Fri, 10 Jan 2020 25:00:00 GMT",
    "Fri, 10 Jan 0000 10:00:00 GMT",
    "2021-366",
    "1578650000",
    "Jan Feb 2020",
    "2020-01-10" + " " * 10 + "x" * 300,
]


def _at(iso: str | None) -> datetime | None:
    return datetime.fromisoformat(iso).replace(tzinfo=UTC) if iso else None


@pytest.mark.parametrize(("raw", "iso"), READ.items())
def test_reads_the_dates_of_feeds(raw: str, iso: str) -> None:
    assert parse_date(raw) == _at(iso)


@pytest.mark.parametrize(("raw", "iso"), SLIPS_OF_FEEDPARSER.items())
def test_mends_the_slips_of_feedparser(raw: str, iso: str | None) -> None:
    assert parse_date(raw) == _at(iso)


@pytest.mark.parametrize("raw", UNREADABLE)
def test_gives_nothing_where_the_date_is_in_doubt(raw: str) -> None:
    assert parse_date(raw) is None


@pytest.fixture
def _other_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_other_zone")
def test_the_time_zone_of_the_machine_takes_no_part() -> None:
    assert time.timezone != 0
    assert [parse_date(raw) for raw in READ] == [_at(iso) for iso in READ.values()]
    assert [parse_date(raw) for raw in SLIPS_OF_FEEDPARSER] == [
        _at(iso) for iso in SLIPS_OF_FEEDPARSER.values()
    ]


_PIECES = st.sampled_from(
    [
        "Fri,",
        "10",
        "Jan",
        "2020",
        "99999",
        "24:00:00",
        "10:11:60",
        "PM",
        "am",
        "+0200",
        "-99:99",
        "GMT",
        "EST",
        "Z",
        "T",
        "2020-01-10",
        "0000",
        "/",
        ".",
        "年",
        "월",
        "오후",
        "-1",
        "²",
    ]
)


@given(st.text() | st.lists(_PIECES, max_size=9).map(" ".join) | st.lists(_PIECES, max_size=9).map("".join))
@example("٢٠٢٠-٠١-١٠")
@example("²²²²-01-01")
def test_never_raises_and_gives_utc(raw: str) -> None:
    found = parse_date(raw)
    assert found is None or found.utcoffset() == timedelta(0)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2049, 12, 31)))
def test_reads_back_what_it_is_given(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    formats = (
        "%a, %d %b %Y %H:%M:%S GMT",
        "%d %b %y %H:%M:%S Z",
        "%Y-%m-%dT%H:%M:%S+00:00",
        "%Y/%m/%d %I:%M:%S %p",
    )
    assert [parse_date(moment.strftime(form)) for form in formats] == [moment] * 4


_MONTHS_AND_OTHERS = ("Jan", "May", "Sep", "Dec", "Foo", "Mai", "Sat")
_CLOCKS = st.tuples(st.integers(0, 25), st.integers(0, 61), st.integers(0, 61)).map(
    "{0[0]:02}:{0[1]:02}:{0[2]:02}".format
)
_YEARS = st.sampled_from(["0000", "0001", "1970", "2020", "9999"])


@given(
    st.builds(
        "{}{} {} {} {} {}".format,
        st.sampled_from(["Mon, ", "", "Sun, ", "Xyz, ", "May, ", "mon, "]),
        st.integers(0, 32).map(str) | st.integers(0, 32).map("{:02}".format),
        st.sampled_from(_MONTHS_AND_OTHERS),
        _YEARS,
        _CLOCKS,
        st.sampled_from(["GMT", "UTC", "+0000", "-0130", "+1399", "+1400", "Z", "EST"]),
    )
    | st.builds(
        "{}-{:02}-{:02}T{}{}{}".format,
        _YEARS,
        st.integers(0, 13),
        st.integers(0, 32),
        _CLOCKS,
        st.sampled_from(["", ".5", ".123456789"]),
        st.sampled_from(["Z", "+00:00", "-13:59", "+05:30", "+14:00", "+01:99", ""]),
    )
)
def test_plain_dates_are_read_as_any_others(raw: str) -> None:
    found = dates._plain(raw)
    assert found is None or found == dates._any(raw)


def test_the_dates_that_nearly_all_feeds_have_are_plain() -> None:
    moment = datetime(2020, 1, 10, 8, 0, 0, tzinfo=UTC)
    for raw in (
        "Fri, 10 Jan 2020 08:00:00 GMT",
        "Fri, 10 Jan 2020 10:00:00 +0200",
        "10 Jan 2020 08:00:00 UTC",
        "2020-01-10T08:00:00Z",
        "2020-01-10T08:00:00.123Z",
        "2020-01-10T03:30:00-04:30",
    ):
        assert dates._plain(raw) == moment
