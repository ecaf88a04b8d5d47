"""Times as tracks write them."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomon.errors import UserError
from geomon.tracks.timestamps import parse_iso, time_reader, zone_named
from geomon.tracks.trackfix import Unusable

T = datetime(2024, 2, 13, 1, 30, tzinfo=timezone.utc)
BEIJING = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("text", "after_seconds"),
    [
        ("2024-02-13T01:30:00Z", 0),
        ("2024-02-13 09:30:00+08:00", 0),
        ("2024-02-13T09:30:00+0800", 0),
        ("2024-02-13T09:30+08", 0),
        ("2024-02-12T20:00:00.5-05:30", 0.5),
        (" 2024-02-13T01:30:00,123456789z ", 0.123456),
    ],
)
def test_iso_times_become_utc(text: str, after_seconds: float) -> None:
    read = parse_iso(text)
    assert read == T + timedelta(seconds=after_seconds)
    assert read.tzinfo is timezone.utc


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(BEIJING)))  # noqa: DTZ001
def test_every_iso_time_is_read_back(moment: datetime) -> None:
    assert parse_iso(moment.isoformat()) == moment


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no time"),
        ("13.02.2024 01:30", "not ISO 8601"),
        ("20240213T013000Z", "not ISO 8601"),
        ("01:30:00", "no date"),
        ("2024-02-30T01:30:00Z", "impossible"),
        ("2024-02-13T25:30:00Z", "impossible"),
        ("2024-02-13T01:30:00+99:00", "offset"),
        ("0001-01-01T00:00:00+08:00", "impossible"),
        ("2024-02-13T01:30:00", "no offset"),
    ],
)
def test_what_is_no_iso_time_says_why(text: str, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        parse_iso(text)


def test_a_declared_zone_holds_only_where_there_is_no_offset() -> None:
    read = time_reader("iso", BEIJING)
    assert read("2024-02-13T09:30:00") == read("2024-02-13T01:30:00Z") == T


def test_numbers_since_1970() -> None:
    assert time_reader("epoch")("1707787800") == T
    assert time_reader("epoch")("1707787800.25") == T + timedelta(milliseconds=250)
    assert time_reader("epoch-ms")("1707787800000") == T


@pytest.mark.parametrize(
    ("form", "text", "reason"),
    [
        ("epoch", "1707787800000", "epoch-ms"),
        ("epoch", "soon", "not a number of seconds"),
        ("epoch", "nan", "not a number of seconds"),
        ("epoch", "", "no time"),
        ("epoch-ms", "1707787800", "seconds"),
        ("epoch-ms", "inf", "not a number of milliseconds"),
        ("epoch-ms", " ", "no time"),
    ],
)
def test_seconds_and_milliseconds_are_not_taken_for_each_other(
    form: str, text: str, reason: str
) -> None:
    with pytest.raises(Unusable, match=reason):
        time_reader(form)(text)


def test_a_pattern_reads_what_is_not_iso() -> None:
    assert time_reader("%d.%m.%Y %H:%M", BEIJING)("13.02.2024 09:30") == T
    assert time_reader("%Y/%m/%d %H:%M:%S %z")("2024/2/13 9:30:00 +0800") == T
    assert time_reader("%H%M%S", BEIJING, date(2024, 2, 13))("093000") == T
    with pytest.raises(Unusable, match="does not match"):
        time_reader("%Y", BEIJING)("next year")
    with pytest.raises(Unusable, match="no offset"):
        time_reader("%Y")("2024")


@pytest.mark.parametrize("text", ["9:30", "09:30:00", "09:30:00.0"])
def test_a_time_of_day_is_on_the_given_day_in_the_given_zone(text: str) -> None:
    assert time_reader("iso", BEIJING, date(2024, 2, 13))(text) == T


@pytest.mark.parametrize(
    ("text", "reason"), [("", "no time"), ("noon", "time of day"), ("24:01", "impossible")]
)
def test_what_is_no_time_of_day_says_why(text: str, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        time_reader("iso", BEIJING, date(2024, 2, 13))(text)


@pytest.mark.parametrize(
    ("form", "zone", "day"),
    [
        ("iso", None, date(2024, 2, 13)),  # which zone's day?
        ("%H:%M", BEIJING, None),  # would be in 1900
        ("epoch", BEIJING, date(2024, 2, 13)),
        ("unix", None, None),
    ],
)
def test_forms_that_cannot_mean_a_moment_are_refused(
    form: str, zone: timezone | None, day: date | None
) -> None:
    with pytest.raises(UserError):
        time_reader(form, zone, day)


@pytest.mark.parametrize("name", ["+08:00", "+0800", "Asia/Shanghai"])
def test_zones_by_offset_and_by_name(name: str) -> None:
    assert parse_iso("2024-02-13T09:30:00", zone_named(name)) == T


@pytest.mark.parametrize("name", ["Mars", "", "+99:00", "+08:75", "../etc/passwd", "Asia"])
def test_no_such_zone(name: str) -> None:
    with pytest.raises(UserError, match="no time zone"):
        zone_named(name)
