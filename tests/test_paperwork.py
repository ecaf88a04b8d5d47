"""From what officers enter, and check-ins, to the core's events: shapes, schedules, times."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from geomon.core.observed import (
    Announced,
    Authorised,
    CheckedIn,
    ClockAt,
    Disposed,
    Event,
    PermitSet,
    PlanSet,
    ReportedBack,
    Sanctioned,
    ZoneSet,
)
from geomon.core.person import Authorisation, Sanction
from geomon.core.plans import Window, local_day
from geomon.core.schedules import EVERY_DAY, windows_of_day
from geomon.datum import from_wgs84
from geomon.decoding import decode
from geomon.errors import Refusal
from geomon.paperwork import paper

CHINA_S = 8 * 3600
HOUR = 3600
NOON_S = 1_707_796_800  # 2024-02-13T12:00:00+08:00, a Tuesday
RECEIVED_S = NOON_S + 600
SCHOOL = {"lon": 114.0545, "lat": 22.5445, "radius_m": 150}
#: A block of houses, by its corners.
BLOCK = [[114.05, 22.54], [114.06, 22.54], [114.06, 22.55], [114.05, 22.55]]


def posix_s(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


FROM_S = posix_s("2024-02-01T00:00:00+08:00")
UNTIL_S = posix_s("2024-03-01T00:00:00+08:00")


def event(tag: str, /, **fields: Any) -> dict[str, Any]:
    """An event as it is sent; what is None is left out."""
    said = {"type": tag, "supervisee_id": "SZ-0001", **fields}
    return {name: value for name, value in said.items() if value is not None}


def plan(tag: str, /, **fields: Any) -> dict[str, Any]:
    """A paper in force for February 2024."""
    term = {"from": "2024-02-01T00:00:00+08:00", "until": "2024-02-29T24:00:00+08:00"}
    return event(tag, **(term | fields))


def zone(**fields: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"zone_id": "Z-1", "kind": "exclusion", "datum": "wgs84"}
    return plan("zone", **(given | fields))


def round_zone(**fields: Any) -> dict[str, Any]:
    return zone(circle=SCHOOL, **fields)


def taken(said: dict[str, Any], received_s: int = 0) -> Event:
    decoded, refused = decode(json.dumps(said).encode())
    assert not refused
    return paper(decoded, received_s)


def zone_of(said: dict[str, Any]) -> ZoneSet:
    found = taken(said)
    assert isinstance(found, ZoneSet)
    return found


def refused_for(said: dict[str, Any]) -> tuple[str, str]:
    """The reason for which an event is refused, and the words beside it."""
    with pytest.raises(Refusal) as refusal:
        taken(said)
    return refusal.value.reason, refusal.value.detail


# -- zones: shapes -----------------------------------------------------------------------------


def test_a_circle_is_one_corner_and_a_radius() -> None:
    named = zone_of(round_zone(kind="curfew"))
    assert (named.at_s, named.removed) == (0, False)
    assert named.zone.zone_id == "Z-1"
    assert named.zone.kind == "curfew"
    assert (named.zone.ring, named.zone.radius_m) == (((114.0545, 22.5445),), 150.0)
    assert named.zone.schedule == ()
    assert (named.zone.from_s, named.zone.until_s) == (FROM_S, UNTIL_S)


def test_a_polygon_has_its_corners_and_no_radius() -> None:
    named = zone_of(zone(polygon=BLOCK)).zone
    assert named.ring == tuple((lon, lat) for lon, lat in BLOCK)
    assert named.radius_m == 0.0


def test_a_ring_closed_as_geojson_has_it_is_the_same_zone() -> None:
    assert zone_of(zone(polygon=[*BLOCK, BLOCK[0]])) == zone_of(zone(polygon=BLOCK))
    triangle = BLOCK[:3]
    assert len(zone_of(zone(polygon=[*triangle, triangle[0]])).zone.ring) == 3
    # Closed, three positions are only two corners.
    two = [BLOCK[0], BLOCK[1], BLOCK[0]]
    assert refused_for(zone(polygon=two)) == ("bad_zone", "2 corners")


@pytest.mark.parametrize("datum", ["gcj02", "bd09"])
def test_a_zone_in_another_datum_lies_at_the_same_place(datum: str) -> None:
    lon, lat = from_wgs84([x for x, _ in BLOCK], [y for _, y in BLOCK], datum)
    shifted = [list(corner) for corner in zip(lon.tolist(), lat.tolist(), strict=True)]
    assert abs(shifted[0][0] - BLOCK[0][0]) > 0.003  # hundreds of metres
    named = zone_of(zone(polygon=shifted, datum=datum)).zone
    for found, true in zip(named.ring, BLOCK, strict=True):
        assert found == pytest.approx(true, abs=2e-6)
    [x], [y] = from_wgs84([SCHOOL["lon"]], [SCHOOL["lat"]], datum)
    circle = SCHOOL | {"lon": float(x), "lat": float(y)}
    named = zone_of(zone(circle=circle, datum=datum)).zone
    assert named.ring[0] == pytest.approx((SCHOOL["lon"], SCHOOL["lat"]), abs=2e-6)


def test_the_national_datum_is_taken_as_wgs84() -> None:
    assert zone_of(round_zone(datum="cgcs2000")) == zone_of(round_zone())


def of_corners(count: int) -> list[list[float]]:
    """A sawtooth: as many corners as wanted, no two the same."""
    return [[114.0 + i * 1e-4, 22.5 + (i % 2) * 1e-3] for i in range(count - 1)] + [[114.02, 22.6]]


def test_a_ring_of_3_to_500_corners_is_a_zone() -> None:
    for count in (3, 500):
        corners = of_corners(count)
        assert len(zone_of(zone(polygon=corners)).zone.ring) == count
        assert len(zone_of(zone(polygon=[*corners, corners[0]])).zone.ring) == count
    assert refused_for(zone(polygon=of_corners(501))) == ("bad_zone", "501 corners")


@pytest.mark.parametrize("corners", [[], [BLOCK[0]], BLOCK[:2], [BLOCK[0], *BLOCK[:1], BLOCK[1]]])
def test_fewer_corners_are_none(corners: list[list[float]]) -> None:
    assert refused_for(zone(polygon=corners))[0] == "bad_zone"


def test_a_corner_given_twice_over_is_a_mistake() -> None:
    assert refused_for(zone(polygon=[*BLOCK[:2], *BLOCK[1:]])) == ("bad_zone", "5 corners")


@pytest.mark.parametrize("radius_m", [10, 100_000])
def test_a_circle_of_10_m_to_100_km_is_a_zone(radius_m: float) -> None:
    named = zone_of(zone(circle=SCHOOL | {"radius_m": radius_m})).zone
    assert named.radius_m == radius_m


@pytest.mark.parametrize(
    "radius_m", [9.99, 100_000.01, 0, -150, float("nan"), float("inf"), float("-inf")]
)
def test_a_circle_of_another_size_is_none(radius_m: float) -> None:
    assert refused_for(zone(circle=SCHOOL | {"radius_m": radius_m})) == ("bad_zone", "radius_m")


def test_a_polygon_may_be_a_degree_wide_and_no_wider() -> None:
    def county(width: float, height: float) -> dict[str, Any]:
        return zone(polygon=[[113.5, 22.0], [113.5 + width, 22.0], [113.5, 22.0 + height]])

    assert zone_of(county(1.0, 1.0))
    for size in ((1.01, 0.5), (0.5, 1.01)):
        assert refused_for(county(*size)) == ("bad_zone", "too large")


def test_a_zone_has_one_shape() -> None:
    assert refused_for(zone()) == ("bad_zone", "one of circle and polygon")
    both = round_zone(polygon=BLOCK)
    assert refused_for(both) == ("bad_zone", "one of circle and polygon")


@pytest.mark.parametrize(
    ("datum", "reason"),
    [
        (None, "datum_undeclared"),
        ("", "datum_unknown"),
        ("WGS84", "datum_unknown"),
        ("beijing54", "datum_unknown"),
        (4326, "datum_unknown"),
        (["wgs84"], "datum_unknown"),
    ],
)
def test_a_zone_without_a_known_datum_is_nowhere(datum: object, reason: str) -> None:
    assert refused_for(round_zone(datum=datum))[0] == reason
    assert refused_for(zone(polygon=BLOCK, datum=datum))[0] == reason


@pytest.mark.parametrize(
    ("corner", "reason"),
    [
        ((float("nan"), 22.54), "not_finite"),
        ((114.05, float("-inf")), "not_finite"),
        ((114.05, 90.1), "lat_out_of_range"),
        ((22.54, 114.05), "lat_out_of_range"),  # swapped
        ((180.1, 22.54), "lon_out_of_range"),
    ],
)
def test_a_corner_must_be_on_the_globe(corner: tuple[float, float], reason: str) -> None:
    lon, lat = corner
    assert refused_for(zone(circle=SCHOOL | {"lon": lon, "lat": lat})) == (reason, "")
    assert refused_for(zone(polygon=[*BLOCK[1:], [lon, lat]])) == (reason, "")


def test_a_zone_that_is_taken_back_needs_no_shape() -> None:
    for said in (
        zone(status="removed", datum=None),
        round_zone(status="removed"),
        zone(status="removed", datum="mars", schedule=[{"from": "25:00", "until": "x"}]),
    ):
        named = zone_of(said)
        assert named.removed
        assert named.zone.zone_id == "Z-1"


# -- schedules ---------------------------------------------------------------------------------


def weekly(begin: str, end: str, days: list[int] | None = None) -> dict[str, Any]:
    window: dict[str, Any] = {"from": begin, "until": end}
    return window if days is None else window | {"days": days}


@pytest.mark.parametrize(
    ("window", "days", "begin_s", "end_s"),
    [
        (weekly("08:00", "17:30"), EVERY_DAY, 8 * HOUR, 17.5 * HOUR),
        (weekly("00:00", "24:00"), EVERY_DAY, 0, 24 * HOUR),
        (weekly("22:00", "06:00"), EVERY_DAY, 22 * HOUR, 6 * HOUR),
        (weekly("00:00", "00:00"), EVERY_DAY, 0, 0),
        (weekly("09:00", "10:00", [1]), 0b000_0001, 9 * HOUR, 10 * HOUR),
        (weekly("09:00", "10:00", [7]), 0b100_0000, 9 * HOUR, 10 * HOUR),
        (weekly("09:00", "10:00", [1, 2, 3, 4, 5]), 0b001_1111, 9 * HOUR, 10 * HOUR),
        (weekly("09:00", "10:00", [6, 6, 7]), 0b110_0000, 9 * HOUR, 10 * HOUR),
        (weekly("23:59", "24:00"), EVERY_DAY, 23 * HOUR + 59 * 60, 24 * HOUR),
    ],
)
def test_a_window_is_days_and_seconds_of_the_day(
    window: dict[str, Any], days: int, begin_s: int, end_s: int
) -> None:
    assert zone_of(round_zone(schedule=[window])).zone.schedule == ((days, begin_s, end_s),)


def test_several_windows_keep_their_order() -> None:
    both = [weekly("14:00", "18:00", [3]), weekly("08:00", "12:00", [3])]
    wednesday = 0b000_0100
    assert zone_of(round_zone(schedule=both)).zone.schedule == (
        (wednesday, 14 * HOUR, 18 * HOUR),
        (wednesday, 8 * HOUR, 12 * HOUR),
    )


@pytest.mark.parametrize(
    ("begin", "end", "from_s", "hours"),
    [
        ("08:00", "17:30", NOON_S - 4 * HOUR, 9.5),
        ("12:00", "24:00", NOON_S, 12),
        ("22:00", "06:00", NOON_S + 10 * HOUR, 8),  # over midnight
        ("00:00", "24:00", NOON_S - 12 * HOUR, 24),
        ("00:00", "00:00", NOON_S - 12 * HOUR, 24),
        ("12:00", "12:00", NOON_S, 24),
    ],
)
def test_as_the_core_reads_it_a_window_is_that_long_in_local_time(
    begin: str, end: str, from_s: int, hours: float
) -> None:
    tuesday = weekly(begin, end, [2])
    schedule = zone_of(round_zone(schedule=[tuesday])).zone.schedule
    day = local_day(NOON_S, CHINA_S)
    found = list(windows_of_day(schedule, day, CHINA_S))
    assert found == [Window(from_s, from_s + round(hours * HOUR))]
    assert list(windows_of_day(schedule, day + 1, CHINA_S)) == []
    assert len(list(windows_of_day(schedule, day + 7, CHINA_S))) == 1


@pytest.mark.parametrize("days", [[], [0], [8], [-1], [1, 2, 9]])
def test_a_day_is_1_to_7_and_there_is_one(days: list[int]) -> None:
    bad = [weekly("08:00", "09:00", days)]
    assert refused_for(round_zone(schedule=bad)) == ("bad_schedule", "days")
    assert refused_for(plan("check_in_plan", windows=bad)) == ("bad_schedule", "days")


@pytest.mark.parametrize(
    "time", ["", "8:00", "08:0", "0800", "08:00:00", "24:01", "25:00", "12:60", "noon", " 08:00"]
)
def test_a_time_of_day_is_two_and_two_digits(time: str) -> None:
    for window in (weekly(time, "23:00"), weekly("00:00", time)):
        reason = ("bad_schedule", "a time that is not HH:MM")
        assert refused_for(round_zone(schedule=[window])) == reason
        assert refused_for(plan("check_in_plan", windows=[window])) == reason


# -- check-in plans ----------------------------------------------------------------------------


def test_a_plan_of_check_ins_has_windows_and_a_term() -> None:
    said = plan(
        "check_in_plan", windows=[weekly("08:00", "09:00", [1, 5]), weekly("20:00", "21:00")]
    )
    assert taken(said) == PlanSet(
        0,
        ((0b001_0001, 8 * HOUR, 9 * HOUR), (EVERY_DAY, 20 * HOUR, 21 * HOUR)),
        FROM_S,
        UNTIL_S,
    )


@pytest.mark.parametrize("windows", [None, []])
def test_a_plan_without_windows_exempts(windows: list[Any] | None) -> None:
    assert taken(plan("check_in_plan", windows=windows)) == PlanSet(0, (), FROM_S, UNTIL_S)


# -- orders, sanctions, disposals --------------------------------------------------------------


def order(**fields: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"authorisation_id": "A-1", "ground": 3}
    return plan("authorisation", **(given | fields))


def test_an_order_says_for_how_long_it_is() -> None:
    span_s = UNTIL_S - FROM_S
    assert span_s == 29 * 86_400
    wanted = Authorised(0, Authorisation("A-1", 3, FROM_S, UNTIL_S, span_s))
    assert taken(order()) == wanted
    assert taken(order(status="granted")) == wanted
    assert taken(order(status="cancelled")) == wanted._replace(cancelled=True)


@pytest.mark.parametrize("ground", range(1, 6))
def test_the_law_has_five_grounds_for_an_order(ground: int) -> None:
    found = taken(order(ground=ground))
    assert isinstance(found, Authorised)
    assert found.authorisation.ground == ground


@pytest.mark.parametrize(
    ("ground", "reason"), [(0, "bad_value"), (6, "bad_value"), ("1", "wrong_type")]
)
def test_and_no_sixth(ground: object, reason: str) -> None:
    assert refused_for(order(ground=ground))[0] == reason


@pytest.mark.parametrize("kind", ["admonition", "warning"])
def test_a_sanction_is_of_its_moment(kind: str) -> None:
    said = event("sanction", sanction_id="P-1", kind=kind, time="2024-02-13T12:00:00+08:00")
    assert taken(said) == Sanctioned(NOON_S, Sanction("P-1", kind, NOON_S))
    about = said | {"episode": "SZ-0001/leave_city/2024-02-12T01:00:00Z"}
    assert taken(about) == taken(said)


def disposal(episode: str) -> dict[str, Any]:
    time = "2024-02-13T12:00:00+08:00"
    return event("disposal", episode=episode, officer="o-12", time=time)


def test_a_disposal_names_an_episode_by_kind_and_beginning() -> None:
    began_s = posix_s("2024-02-12T09:00:00+08:00")
    assert taken(disposal("SZ-0001/missed_check_in/2024-02-12T01:00:00Z")) == Disposed(
        NOON_S, "missed_check_in", began_s, NOON_S
    )


@pytest.mark.parametrize(
    "episode",
    [
        "",
        "tamper",
        "SZ-0001/tamper",
        "SZ-0001/tamper/x",
        "SZ-0001/tamper/2024-02-12T01:00:00Z#1",  # an alert, not its episode
        "SZ-0001/tamper/2024-02-12T09:00:00+08:00",
        "SZ-0001/tamper/2024-02-30T01:00:00Z",
        "SZ-0001/tamper/2024-02-12T25:00:00Z",
        "SZ-0002/tamper/2024-02-12T01:00:00Z",  # of somebody else
        "SZ-0001/sneezing/2024-02-12T01:00:00Z",
        "SZ-0001/tamper/2024-02-12T01:00:00Z\n",
        "SZ-0001/x/tamper/2024-02-12T01:00:00Z",
    ],
)
def test_a_disposal_of_anything_else_is_refused(episode: str) -> None:
    assert refused_for(disposal(episode)) == ("bad_episode", "")


# -- terms, ids, and when it arrived -----------------------------------------------------------


PLANS = {
    "a zone": round_zone(),
    "a check-in plan": plan("check_in_plan"),
    "an order": order(),
    "an announcement": plan("supervisee", level="strict"),
    "a permit": plan("permit", permit_id="L-1", kind="leave", destinations=["410000"]),
}
MOMENTS = {
    "a return": event("return", permit_id="L-1", time="2024-02-13T12:00:00+08:00"),
    "a check-in": event("check_in", device_id="phone-3", time="2024-02-13T12:00:00+08:00"),
    "a sanction": event(
        "sanction", sanction_id="P-1", kind="warning", time="2024-02-13T12:00:00+08:00"
    ),
    "a disposal": disposal("SZ-0001/tamper/2024-02-12T01:00:00Z"),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_has_no_time_of_arrival_unless_it_is_said(name: str) -> None:
    """Its own times lie in its future: they must not take the person's clock along."""
    assert taken(PLANS[name]).at_s == 0
    assert taken(PLANS[name], RECEIVED_S).at_s == RECEIVED_S


@pytest.mark.parametrize("name", MOMENTS)
def test_what_is_of_a_moment_arrived_then_unless_it_is_said(name: str) -> None:
    assert taken(MOMENTS[name]).at_s == NOON_S
    later = taken(MOMENTS[name], RECEIVED_S)
    assert later.at_s == RECEIVED_S
    # When it arrived does not change when it was.
    assert _when(later) == _when(taken(MOMENTS[name])) == NOON_S


def _when(event: Event) -> int:
    if isinstance(event, Sanctioned):
        return event.sanction.time_s
    assert isinstance(event, ReportedBack | CheckedIn | Disposed)
    return event.time_s


@pytest.mark.parametrize("name", PLANS)
def test_a_term_ends_after_it_begins(name: str) -> None:
    said = PLANS[name]
    assert refused_for(said | {"until": said["from"]})[0] == "ends_before_it_begins"
    assert refused_for(said | {"from": "2024-02-30T00:00:00+08:00"})[0] == "bad_time"
    assert refused_for(said | {"until": "2024-02-29T24:00:00"})[0] == "bad_time"
    assert refused_for(said | {"until": "2100-01-01T00:00:00Z"})[0] == "impossible_time"


@pytest.mark.parametrize("name", MOMENTS)
def test_a_moment_lies_in_this_century(name: str) -> None:
    for time in ("1999-12-31T23:59:59Z", "2100-01-01T00:00:00Z"):
        assert refused_for(MOMENTS[name] | {"time": time}) == ("impossible_time", "time")


@pytest.mark.parametrize(
    "said", [round_zone(), order(), PLANS["a permit"], MOMENTS["a return"], MOMENTS["a sanction"]]
)
@pytest.mark.parametrize("bad", ["", "Z 1", "Z/1", "Z#1", "Z\n", "x" * 65])
def test_ids_of_papers_are_checked(said: dict[str, Any], bad: str) -> None:
    [field] = {"zone_id", "authorisation_id", "permit_id", "sanction_id"} & set(said)
    reason, detail = refused_for(said | {field: bad})
    assert reason == "bad_id"
    assert detail == f"{field} of {len(bad)} characters"


def test_who_approved_a_leave_is_kept() -> None:
    for level in (None, "street", "district", "city"):
        found = taken(PLANS["a permit"] | ({"approved_by": level} if level else {}))
        assert isinstance(found, PermitSet)
        assert found.permit.approved_by == (level or "")
        assert (found.permit.from_s, found.permit.until_s) == (FROM_S, UNTIL_S)
        assert not found.cancelled


def test_an_announcement_says_level_and_term() -> None:
    found = taken(plan("supervisee", level="strict", district="440303", street="南湖街道"))
    assert isinstance(found, Announced)
    profile = found.profile
    assert (profile.district, profile.street, profile.level) == ("440303", "南湖街道", "strict")
    assert (profile.from_s, profile.until_s) == (FROM_S, UNTIL_S)
    plain = taken(plan("supervisee"))
    assert isinstance(plain, Announced)
    assert (plain.profile.district, plain.profile.level) == ("", "normal")


def test_a_clock_needs_its_time() -> None:
    assert taken(event("clock"), RECEIVED_S) == ClockAt(RECEIVED_S)
    assert refused_for(event("clock"))[0] == "missing_field"


def test_an_upload_is_no_paper() -> None:
    with pytest.raises(TypeError, match="no paper"):
        taken(event("upload", device_id="band-17", device="wristband", fixes=[]), RECEIVED_S)
