"""What phones send, as their documentation and sources write it, and what is read from it.

Requests are written after https://www.traccar.org/osmand/, the clients' sources and
https://owntracks.org/booklet/tech/json/ (see the modules); positions are of Shenzhen.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geomon import decoding, refusals
from geomon.errors import Refusal
from geomon.gateway import native, osmand, owntracks, traccar
from geomon.gateway.registry import Device, NotAdmitted
from geomon.gateway.reports import AccessPoint, Position, RefusedPart, Report, Tower, events_of

NOON = datetime(2024, 2, 13, 4, 0, tzinfo=timezone.utc)
NOON_S = 1_707_796_800
PHONE = Device(device_id="phone-3", supervisee_id="SZ-0001", device="phone", datum="wgs84")


def asked(query: str) -> Report:
    return osmand.read(osmand.parameters_of(query))


def only(reports: list[Report]) -> Report:
    (report,) = reports
    return report


def position(report: Report) -> Position:
    assert report.refused == []
    (found,) = report.positions
    return found


def refused(report: Report) -> str:
    assert report.positions == []
    (part,) = report.refused
    return part.reason


# -- OsmAnd, as a query or a form -----------------------------------------------------------------


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


# -- the JSON of Traccar Client 9 -----------------------------------------------------------------


def traccar_body(**location: Any) -> dict[str, Any]:
    """A request of Traccar Client 9, as its template writes it."""
    return {
        "location": {
            "timestamp": "2024-02-13T04:00:00.000Z",
            "coords": {
                "latitude": 22.5431,
                "longitude": 114.0579,
                "accuracy": 14.2,
                "speed": 0.4,
                "heading": 93.1,
                "altitude": 12.5,
            },
            "is_moving": False,
            "odometer": 1200,
            "event": "motionchange",
            "battery": {"level": 0.71, "is_charging": True},
            "activity": {"type": "still"},
            "extras": {},
            "_": "&id=phone-3&lat=22.5431&lon=114.0579&timestamp=2024-02-13T04:00:00.000Z&",
            **location,
        },
        "device_id": "phone-3",
    }


def reports_of(body: Any) -> list[Report]:
    return traccar.reports_of(traccar.read(json.dumps(body).encode()))


def test_traccar_client_9() -> None:
    report = only(reports_of(traccar_body()))
    assert position(report) == Position(
        time=NOON,
        lon=114.0579,
        lat=22.5431,
        accuracy_m=14.2,
        speed_mps=0.4,
        heading_deg=93.1,
        altitude_m=12.5,
    )
    assert report.battery_pct == pytest.approx(71)
    assert report.charging is True
    assert report.signs == [
        *("event=motionchange", "is_moving=false", "odometer=1200", "activity=still")
    ]
    assert traccar.device_id(traccar_body()) == "phone-3"


def test_what_the_library_does_not_know_is_minus_one() -> None:
    coords = {"latitude": 22.5, "longitude": 114.0, "accuracy": -1, "speed": -1, "heading": -1}
    body = traccar_body(coords=coords, battery={"level": -1, "is_charging": False})
    report = only(reports_of(body))
    assert position(report) == Position(NOON, 114.0, 22.5)
    assert report.battery_pct is None


def test_a_batch_is_one_report_for_each_location_and_its_bad_one_is_refused_alone() -> None:
    one = traccar_body()["location"]
    good, bad, faked = reports_of(
        {"device_id": "phone-3", "location": [one, {"coords": {}}, {**one, "mock": True}]}
    )
    assert position(good).mock is None
    assert bad.refused == [RefusedPart("missing_field", "timestamp", 1)]
    assert position(faked).mock is True


def test_numbers_that_are_no_json_are_refused_where_they_stand() -> None:
    body = json.dumps(traccar_body()).replace("0.4", "NaN").encode()
    report = only(traccar.reports_of(traccar.read(body)))
    assert position(report).speed_mps is None
    body = json.dumps(traccar_body()).replace("22.5431, ", "NaN, ").encode()
    assert refused(only(traccar.reports_of(traccar.read(body)))) == "not_finite"


def test_of_a_body_that_is_no_json_at_least_the_device_is_found() -> None:
    body = json.dumps(traccar_body()).replace("0.4", "nan").encode()
    with pytest.raises(Refusal):
        traccar.read(body)
    assert traccar.device_id_in(body) == "phone-3"
    assert traccar.device_id_in(b'{"device_id": ') == ""


def test_an_alarm_that_a_person_raises_is_kept() -> None:
    report = only(reports_of(traccar_body(extras={"alarm": "sos"})))
    assert "alarm=sos" in report.signs


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "broken_json"),
        (b"{", "broken_json"),
        (b"[]", "not_an_object"),
        (b"[" * 5_000, "too_deep"),
        (b"{}", "missing_field"),
    ],
)
def test_what_is_no_upload_of_traccar_client(body: bytes, reason: str) -> None:
    with pytest.raises(Refusal) as refusal:
        traccar.reports_of(traccar.read(body))
    assert refusal.value.reason == reason


# -- OwnTracks ------------------------------------------------------------------------------------

LOCATION = {
    "_type": "location",
    "acc": 14,
    "alt": 12,
    "batt": 71,
    "bs": 2,
    "cog": 93,
    "conn": "w",
    "created_at": NOON_S + 3,
    "inregions": ["Home"],
    "lat": 22.5431,
    "lon": 114.0579,
    "m": 1,
    "SSID": "a network",
    "BSSID": "0:14:22:1:23:45",
    "t": "u",
    "tid": "p3",
    "topic": "owntracks/phone-3/android",
    "tst": NOON_S,
    "vac": 3,
    "vel": 36,
}


def told(message: Any) -> list[Report]:
    return owntracks.reports_of(json.dumps(message).encode())


def test_a_location_of_owntracks() -> None:
    report = only(told({**LOCATION, "BSSID": "00:14:22:01:23:45"}))
    found = position(report)
    assert found.speed_mps == pytest.approx(10)  # 36 km/h
    assert found == Position(
        time=NOON,
        lon=114.0579,
        lat=22.5431,
        accuracy_m=14,
        speed_mps=found.speed_mps,
        heading_deg=93,
        altitude_m=12,
    )
    assert (report.battery_pct, report.charging) == (71, True)
    assert report.access_points == [AccessPoint("00:14:22:01:23:45")]
    assert {"t=u", "conn=w", "m=1", "SSID=a network", "inregions=Home"} <= set(report.signs)


def test_a_message_of_no_bytes_is_ignored() -> None:
    assert owntracks.reports_of(b"") == []


def test_a_bssid_that_is_none_is_left_out() -> None:
    assert only(told(LOCATION)).access_points == []


def test_entering_a_region_is_a_position_where_one_is_given() -> None:
    entered = {
        "_type": "transition",
        "wtst": NOON_S - 9_000,
        "lat": 22.54,
        "lon": 114.05,
        "tst": NOON_S,
        "acc": 30,
        "event": "enter",
        "desc": "Home",
        "t": "c",
    }
    report = only(told(entered))
    assert position(report) == Position(NOON, 114.05, 22.54, accuracy_m=30)
    assert {"event=enter", "desc=Home"} <= set(report.signs)
    beacon = {k: v for k, v in entered.items() if k not in ("lat", "lon")}
    assert only(told(beacon)).positions == []


@pytest.mark.parametrize("kind", ["waypoint", "waypoints", "status", "card", "steps", "beacon"])
def test_the_place_of_a_region_is_no_position_of_the_phone(kind: str) -> None:
    report = only(told({"_type": kind, "lat": 1.0, "lon": 2.0, "tst": NOON_S, "desc": "Home"}))
    assert (report.positions, report.signs) == ([], [f"_type={kind}"])


def test_of_a_last_will_nobody_was_heard_from() -> None:
    assert told({"_type": "lwt", "tst": NOON_S}) == []


@pytest.mark.parametrize("trigger", ["l", "L"])
def test_a_last_known_position_is_none_of_now(trigger: str) -> None:
    assert only(told({**LOCATION, "t": trigger})).positions == []


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"_type": "encrypted", "data": "…"}, "not_of_protocol"),
        ({"_type": "something else"}, "not_of_protocol"),
        ({"lat": 1}, "not_of_protocol"),
        (3, "not_an_object"),
    ],
)
def test_what_is_no_message_of_owntracks(message: Any, reason: str) -> None:
    with pytest.raises(Refusal) as refusal:
        told(message)
    assert refusal.value.reason == reason


def test_a_location_without_its_time_is_refused_and_the_phone_heard_from() -> None:
    report = only(told({"_type": "location", "lat": 22.5, "lon": 114.0, "batt": 4}))
    assert refused(report) == "missing_field"
    assert report.battery_pct == 4


# -- geomon's own ---------------------------------------------------------------------------------

UPLOAD: dict[str, Any] = {
    "type": "upload",
    "supervisee_id": "SZ-0001",
    "device_id": "phone-3",
    "device": "phone",
    "datum": "gcj02",
    "battery_pct": 71,
    "strap": "closed",
    "stored": True,
    "seq": 12,
    "fixes": [
        {"time": "2024-02-13T12:00:00+08:00", "lon": 114.0579, "lat": 22.5431, "source": "gnss"}
    ],
}


def read_own(body: bytes) -> list[Report]:
    items = native.read(body)
    assert native.speaker(items, "phone-3") == "phone-3"
    return native.reports_of(items, PHONE)


def test_the_contracts_own_example_is_an_upload() -> None:
    report = only(read_own(json.dumps(UPLOAD).encode()))
    assert position(report) == Position(NOON, 114.0579, 22.5431, "gnss")
    assert (report.datum, report.battery_pct, report.seq) == ("gcj02", 71, 12)
    assert (report.strap, report.stored) == ("closed", True)


def test_a_list_and_lines_are_many_uploads() -> None:
    line = json.dumps(UPLOAD)
    assert len(read_own(f"[{line},{line}]".encode())) == 2
    assert len(read_own(f"{line}\n{line}\r\n\n{line}\n".encode())) == 3


def test_a_line_that_is_torn_is_refused_alone() -> None:
    line = json.dumps(UPLOAD)
    good, torn = read_own(f"{line}\n{line[:-9]}\n".encode())
    assert position(good)
    assert refused(torn) == "broken_json"


def test_a_bad_fix_is_refused_alone_with_its_place() -> None:
    fixes = [*UPLOAD["fixes"], {"time": "noon", "lon": 1, "lat": 2}, {"lon": 1, "lat": 2}]
    report = only(read_own(json.dumps({**UPLOAD, "fixes": fixes}).encode()))
    assert len(report.positions) == 1
    assert [(part.reason, part.fix) for part in report.refused] == [
        ("bad_time", 1),
        ("missing_field", 2),
    ]


def test_a_fix_that_is_not_finite_is_refused_alone() -> None:
    good = UPLOAD["fixes"][0]
    fixes = [{"lon": 1}, {**good, "lat": float("nan")}, good, {**good, "speed_mps": 1e999}]
    report = only(read_own(json.dumps({**UPLOAD, "fixes": fixes}).encode()))
    assert len(report.positions) == 1
    assert [(part.reason, part.fix) for part in report.refused] == [
        ("missing_field", 0),
        ("not_finite", 1),
        ("not_finite", 3),
    ]


def test_nobody_speaks_for_another_person_or_device() -> None:
    items = native.read(json.dumps({**UPLOAD, "supervisee_id": "SZ-0002"}).encode())
    with pytest.raises(NotAdmitted, match="another person"):
        native.reports_of(items, PHONE)
    with pytest.raises(NotAdmitted, match="another device"):
        native.speaker(items, "phone-4")
    two = json.dumps([UPLOAD, {**UPLOAD, "device_id": "phone-4"}]).encode()
    with pytest.raises(NotAdmitted, match="another device"):
        native.speaker(native.read(two))


def test_a_check_in_may_stand_among_uploads() -> None:
    told_at = {"type": "check_in", "time": "2024-02-13T12:00:00+08:00", "verified": True}
    _, checked = read_own(json.dumps([UPLOAD, told_at]).encode())
    assert checked.check_in is not None
    assert (checked.check_in.time, checked.check_in.verified) == (NOON, True)


def test_a_paper_is_not_taken_from_a_device() -> None:
    paper = {"type": "return", "permit_id": "L-88", "time": "2024-02-13T12:00:00+08:00"}
    assert refused(only(read_own(json.dumps(paper).encode()))) == "unknown_type"


# -- any bytes ------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        *("_type", "lat", "lon", "tst", "acc", "vel", "batt", "bs", "t", "inregions", "BSSID"),
        *("location", "coords", "latitude", "longitude", "timestamp", "battery", "level", "extras"),
        *("type", "fixes", "time", "device_id", "supervisee_id", "datum", "cells", "wifi", "seq"),
    ]
)
WORDS = st.sampled_from(
    ["location", "transition", "lwt", "upload", "check_in", "2024-02-13T12:00:00+08:00", "wgs84"]
)
LIKELY = st.recursive(
    WORDS | JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=9),
    max_leaves=20,
)
BODIES = st.binary(max_size=200) | LIKELY.map(lambda body: json.dumps(body).encode())


def sound(reports: list[Report]) -> None:
    """Whatever was read can be written, and is read again by the worker as it was meant."""
    for report in reports:
        for raw in events_of(report, PHONE, NOON):
            event, refused_fixes = decoding.decode(raw)
            assert event.supervisee_id == "SZ-0001"
            assert refused_fixes == []
        assert all(part.reason in refusals.REASONS for part in report.refused)


def read_or_why(read: Callable[[], list[Report]]) -> tuple[list[Report], str]:
    """What is read, or the reason why nothing is."""
    try:
        return read(), ""
    except (Refusal, NotAdmitted) as verdict:
        return [], verdict.reason


@pytest.mark.parametrize(
    "read",
    [
        owntracks.reports_of,
        lambda body: traccar.reports_of(traccar.read(body)),
        lambda body: native.reports_of(native.read(body), PHONE),
    ],
    ids=["owntracks", "traccar", "native"],
)
@given(body=BODIES)
@example(body=b'{"_type":"location","tst":1e308,"lat":1,"lon":1}')
@example(body=b'{"_type":"location","tst":1,"lat":1,"lon":1,"alt":"\\ud800"}')
@example(body=b'"' + b"\\u0000" * 40 + b'"')
def test_any_body_is_reports_or_one_clear_refusal(
    read: Callable[[bytes], list[Report]], body: bytes
) -> None:
    reports, reason = read_or_why(lambda: read(body))
    assert (reason in refusals.REASONS) or reason == "another_person" or not reason
    sound(reports)


QUERIES = st.text(max_size=120) | st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("id", "lat", "lon", "location", "timestamp", "speed", "bearing", "altitude"),
                *("accuracy", "batt", "valid", "mock", "cell", "wifi", "charge", "alarm"),
            ]
        ),
        st.text(max_size=12)
        | st.floats().map(str)
        | st.integers().map(str)
        | st.sampled_from(["22.5,114.0", "460,0,1,2", "460,0,1,2,x", "00:11:22:33:44:55,-1"]),
    ),
    max_size=12,
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))


@given(query=QUERIES)
@example(query=f"lat=1&lon=1&timestamp={10**400}")
@example(query="lat=1e999&lon=1&timestamp=1707796800&cell=" + ",".join(["9" * 5_000] * 4))
def test_any_query_is_a_report_or_one_clear_refusal(query: str) -> None:
    reports, reason = read_or_why(lambda: [osmand.read(osmand.parameters_of(query))])
    assert not reason or reason in refusals.REASONS
    sound(reports)


def test_more_parameters_than_a_phone_has_are_refused() -> None:
    with pytest.raises(Refusal):
        osmand.parameters_of("&".join(["a=1"] * 10_000))


def test_the_time_of_a_phone_in_another_zone_is_the_same_moment() -> None:
    local = NOON.astimezone(timezone(timedelta(hours=8)))
    report = asked(f"id=p&lat=1&lon=1&timestamp={local.isoformat().replace('+', '%2B')}")
    assert position(report).time == NOON
