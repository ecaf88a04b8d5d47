"""OsmAnd's protocol as Traccar Client speaks it, as a query or a form.

Requests are written after https://www.traccar.org/osmand/ and the client's source (see the module).
"""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from readings import NOON, NOON_S, asked, position, refused

from geomon.gateway import osmand
from geomon.gateway.reports import AccessPoint, Position, Tower


def test_traccar_client_8_for_android() -> None:
    report = asked(
        f"id=phone-3&timestamp={NOON_S}&lat=22.5431&lon=114.0579&speed=1.943844&bearing=93.0"
        "&altitude=12.5&accuracy=14.0&batt=71.0"
    )
    found = position(report)
    assert found.speed_mps == pytest.approx(1.0, rel=1e-6)  # 1.943844 knots
    assert found == Position(
        time=NOON,
        lon=114.0579,
        lat=22.5431,
        accuracy_m=14.0,
        speed_mps=found.speed_mps,
        heading_deg=93.0,
        altitude_m=12.5,
    )
    assert report.battery_pct == 71.0
    assert report.signs == []


@given(st.text(alphabet="ab=&;%+20é \0", max_size=40))
def test_a_query_is_read_as_pythons_library_reads_it(query: str) -> None:
    assert osmand.parameters_of(query) == parse_qsl(query, keep_blank_values=True)


@pytest.mark.parametrize(
    "timestamp",
    [
        "1707796800",
        "1707796800000",
        "2024-02-13T04:00:00Z",
        "2024-02-13T04:00:00.000Z",
        "2024-02-13T12:00:00%2B08:00",
    ],
)
def test_times_in_seconds_milliseconds_and_iso(timestamp: str) -> None:
    report = asked(f"id=phone-3&lat=22.5&lon=114.0&timestamp={timestamp}")
    assert position(report).time == NOON


@pytest.mark.parametrize(
    ("timestamp", "reason"),
    [
        ("2024-02-13 12:00:00", "bad_time"),  # by whose clock?
        ("2024-02-13T12:00:00", "bad_time"),
        ("yesterday", "bad_time"),
        ("", "missing_field"),
        ("0", "impossible_time"),
        ("-1", "impossible_time"),
        ("99999999999999999", "impossible_time"),
        ("1e400", "bad_time"),
    ],
)
def test_a_time_that_is_none_is_refused_and_the_phone_still_heard_from(
    timestamp: str, reason: str
) -> None:
    assert refused(asked(f"id=p&lat=22.5&lon=114.0&timestamp={timestamp}&batt=50")) == reason


def test_a_position_without_a_time_is_refused_not_dated_by_its_arrival() -> None:
    assert refused(asked("id=phone-3&lat=22.5&lon=114.0")) == "missing_field"


def test_location_in_one_parameter_is_latitude_first() -> None:
    found = position(asked(f"id=phone-3&location=22.5431,114.0579&timestamp={NOON_S}"))
    assert (found.lon, found.lat) == (114.0579, 22.5431)


def test_a_faked_position_says_so() -> None:
    here = f"id=phone-3&lat=22.5&lon=114.0&timestamp={NOON_S}"
    assert position(asked(f"{here}&mock=true")).mock is True
    assert position(asked(f"{here}&mock=false")).mock is False
    assert position(asked(here)).mock is None


def test_what_the_phone_does_not_know_is_left_unsaid() -> None:
    report = asked(
        f"id=phone-3&lat=22.5&lon=114.0&timestamp={NOON_S}&accuracy=0.0&speed=-1&bearing=-1&batt=-1"
    )
    assert position(report) == Position(NOON, 114.0, 22.5)
    assert report.battery_pct is None


def test_an_invalid_location_is_the_last_one_known_and_no_position() -> None:
    report = asked(f"id=phone-3&lat=22.5&lon=114.0&timestamp={NOON_S}&valid=false&batt=9")
    assert (report.positions, report.refused, report.battery_pct) == ([], [], 9.0)


def test_towers_and_access_points_are_kept_raw() -> None:
    report = asked(
        f"id=phone-3&timestamp={NOON_S}&cell=460,0,9365,4611,-71&cell=460,1,9366,200"
        "&wifi=00-14-22-01-23-45,-60&wifi=02:00:00:00:00:00,-50&cell=nonsense"
    )
    assert report.positions == []
    assert report.towers == [Tower(460, 0, 9365, 4611, signal_dbm=-71), Tower(460, 1, 9366, 200)]
    assert report.access_points == [AccessPoint("00:14:22:01:23:45", -60.0)]


def test_charging_and_what_else_it_says_are_kept_but_never_the_token() -> None:
    parameters = osmand.parameters_of("id=phone-3&token=secret&charge=true&alarm=sos&hdop=1.2")
    report = osmand.read(parameters)
    assert report.charging is True
    assert report.signs == ["alarm=sos", "hdop=1.2"]
    assert b"secret" not in osmand.without_token(parameters)


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("lat=22.5", "missing_field"),
        ("lat=north&lon=114", "wrong_type"),
        ("lat=NaN&lon=114", "not_finite"),
        ("lat=inf&lon=114", "not_finite"),
        ("location=22.5", "missing_field"),
    ],
)
def test_a_position_that_is_none_is_refused(where: str, reason: str) -> None:
    assert refused(asked(f"id=phone-3&{where}&timestamp={NOON_S}")) == reason
