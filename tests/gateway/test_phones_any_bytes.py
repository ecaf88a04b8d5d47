"""Any bytes in the place of what a phone sends: read, or refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from readings import NOON, PHONE, asked, position

from geomon import decoding, refusals
from geomon.errors import Refusal
from geomon.gateway import native, osmand, owntracks, traccar
from geomon.gateway.registry import NotAdmitted
from geomon.gateway.reports import Report, events_of

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
