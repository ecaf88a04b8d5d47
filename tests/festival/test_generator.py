"""The invented festival: reproducible, exactly fifteen breaches, and a truth that is true."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from geomon.datum import to_wgs84
from geomon.decoding import decode
from geomon.zones.index import ZoneIndex

from .__main__ import main
from .almanac import BEGIN_S, END_S, local_text, utc_text
from .ground import KX_M, KY_M
from .levels import LEVELS
from .people import PersonPlan, person, watched
from .recording import Recording, lived, record, recording
from .roles import BREACHES, CITY_PEOPLE, PARTS, deal
from .sampling import record_all, sample, sample_plans
from .truth import absences

SEED = 1
HOUR = 3600


@lru_cache(maxsize=1)
def plans() -> tuple[PersonPlan, ...]:
    """A sample with every part in it."""
    return tuple(sample_plans(150, SEED))


@lru_cache(maxsize=1)
def recordings() -> dict[str, Recording]:
    """What these people sent; those with a wristband only where it has a part in the truth."""
    return {
        plan.supervisee_id: recording(plan)
        for plan in plans()
        if not plan.role.band or plan.role.story
    }


def facts() -> Iterator[tuple[PersonPlan, dict[str, Any]]]:
    for plan in plans():
        made = recordings().get(plan.supervisee_id)
        for fact in made.truth if made else ():
            yield plan, fact


def posix(text: str) -> int:
    """POSIX seconds; 24:00:00 is the end of the day."""
    midnight = text.replace("T24:00:00", "T00:00:00")
    time = datetime.fromisoformat(midnight.replace("Z", "+00:00"))
    return int((time + timedelta(days=int(midnight != text))).timestamp())


def excused(made: Recording, times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a permit that had been granted by then covers a time."""
    found = np.zeros(len(times), dtype=bool)
    for at, line in made.lines:
        if line.startswith(b'{"type":"permit"'):
            event = json.loads(line)
            begin_s = max(at, posix(event["from"]))
            found |= (times >= begin_s) & (times < posix(event["until"]))
    return found


def test_the_same_seed_gives_the_same_bytes() -> None:
    for plan in plans()[:8]:
        again = person(SEED, plan.role)
        assert again == plan
        assert record(again) == record(plan)


def test_another_seed_gives_another_city() -> None:
    role = plans()[0].role
    assert person(2, role).home != person(SEED, role).home
    assert deal(2, CITY_PEOPLE) != deal(SEED, CITY_PEOPLE)


def test_anybodys_lines_are_the_same_whoever_else_is_recorded(tmp_path: Path) -> None:
    few = [plan for plan in plans() if not plan.role.band][:4]
    ids = tmp_path / "ids"
    ids.write_text("\n".join(plan.supervisee_id for plan in few[1:3]), "utf-8")
    result = CliRunner().invoke(main, ["--out", str(tmp_path / "out"), "--only", str(ids)])
    assert result.exit_code == 0, result.output

    files = sorted((tmp_path / "out").glob("2024-02-*.ndjson.gz"))
    written = b"".join(gzip.decompress(file.read_bytes()) for file in files).splitlines()
    together, _ = record_all(few)
    wanted = {plan.supervisee_id for plan in few[1:3]}
    assert written == [line for line in together if json.loads(line)["supervisee_id"] in wanted]
    assert written != together


def test_lines_come_in_the_order_of_arrival_and_end_with_a_clock() -> None:
    lines, _ = record_all(plans()[:5])
    received = [posix(json.loads(line)["received"]) for line in lines]
    assert received == sorted(received)
    assert received[0] >= BEGIN_S
    last = [json.loads(line) for line in lines[-5:]]
    assert {event["type"] for event in last} == {"clock"}
    assert {event["supervisee_id"] for event in last} == {p.supervisee_id for p in plans()[:5]}
    assert {event["received"] for event in last} == {"2024-02-25T00:00:00+08:00"}


def test_every_line_is_understood() -> None:
    kinds: Counter[str] = Counter()
    for made in recordings().values():
        for at, line in made.lines:
            event, refused = decode(line)
            assert refused == []
            kinds[type(event).__name__] += 1
            assert event.received is not None
            assert int(event.received.timestamp()) == at
    for kind in ("Upload", "Supervisee", "Permit", "Return", "CheckIn", "Clock", "Authorisation"):
        assert kinds[kind] > 0


def test_there_are_exactly_the_fifteen_breaches() -> None:
    breaches = [(plan, fact) for plan, fact in facts() if fact["breach"]]
    assert sorted(plan.role.story for plan, _ in breaches) == sorted(BREACHES)
    kinds = Counter(fact["kind"] for _, fact in breaches)
    assert kinds == {"leave_city": 8, "overdue_return": 6, "out_of_supervision": 1}
    # Nobody else in the whole city has such a part.
    parts = Counter(role.story for role in deal(SEED, CITY_PEOPLE))
    assert {story: parts[story] for story in BREACHES} == dict.fromkeys(BREACHES, 1)
    for plan, fact in breaches:
        if fact["kind"] == "overdue_return":
            until = posix(fact["until"]) if fact["until"] else END_S
            assert until - posix(fact["since"]) >= 24 * HOUR
        if fact["kind"] == "out_of_supervision":
            assert END_S - posix(fact["since"]) >= 10 * 24 * HOUR
            assert END_S - posix(fact["since"]) > LEVELS[plan.level].out_of_supervision_s


def test_the_truth_agrees_with_the_noise_free_paths(zones: ZoneIndex) -> None:
    """Outside at each minute (from the zones, not from the generator) means: in the truth."""
    minutes = np.arange(BEGIN_S, END_S, 60)
    for plan in plans():
        made = recordings().get(plan.supervisee_id)
        if made is None:
            continue
        place = lived(plan).track.at(minutes)
        outside = ~zones.classify(place.lon, place.lat).inside
        told = np.zeros(len(minutes), dtype=bool)
        for fact in made.truth:
            if fact["kind"] in ("leave_city", "overdue_return"):
                until = posix(fact["until"]) if fact["until"] else END_S
                told |= (minutes >= posix(fact["since"])) & (minutes < until)
        assert ((outside & ~excused(made, minutes)) == told).all(), plan.role


def test_ordinary_life_stays_inside_with_a_margin(zones: ZoneIndex) -> None:
    checked = 0
    for plan in plans():
        life = lived(plan)
        if life.script.trips:
            assert absences(life.track), plan.role  # who has leave goes away
            continue
        place = life.track.at(np.arange(BEGIN_S, END_S, 45))
        assert zones.classify(place.lon, place.lat).distance_m.max() < -25.0, plan.role
        checked += 1
    assert checked > 70


def test_nobody_else_is_silent_for_long() -> None:
    """Silence from the lines alone; every silence longer than the plan allows is in the truth."""
    longest = 0
    for plan in plans():
        made = recordings().get(plan.supervisee_id)
        if made is None or not plan.role.phone:
            continue
        begin_s, end_s = watched(plan)
        sent = [
            at
            for at, line in made.lines
            if at < end_s
            and (b'"device":"phone"' in line[:200] or line.startswith(b'{"type":"check_in"'))
        ]
        times = np.array([begin_s, *sent, end_s])
        silences = {
            utc_text(int(times[i]))
            for i in np.flatnonzero(np.diff(times) > LEVELS[plan.level].silence_s[0])
        }
        told = {
            fact["since"]
            for fact in made.truth
            if fact["kind"] == "lost_contact" and fact["device"] == "phone"
        }
        assert silences == told
        if not plan.role.story.startswith(("lost_", "gone", "overdue_")):
            longest = max(longest, int(np.diff(times).max()))
    assert 4 * HOUR < longest < 20 * HOUR


def test_missed_check_ins_are_those_without_a_valid_one() -> None:
    """Recomputed from the lines: verified, in the window, arrived before the grace is over."""
    missed = 0
    for plan, fact in facts():
        if fact["kind"] != "missed_check_in":
            continue
        missed += 1
        since, until = posix(fact["since"]), posix(fact["until"])
        grace_s = LEVELS[plan.level].grace_s
        for at, line in recordings()[plan.supervisee_id].lines:
            if line.startswith(b'{"type":"check_in"'):
                event = json.loads(line)
                in_window = since <= posix(event["time"]) < until
                assert not (event["verified"] and in_window and at <= until + grace_s)
    assert missed > 10


def test_each_part_leaves_its_fact() -> None:
    wanted = {
        "strap_cleared": "tamper",
        "strap_open": "tamper",
        "case_open": "tamper",
        "separation": "separation",
        "mock": "spoofing",
        "teleport": "spoofing",
        "frozen": "spoofing",
        "disagree": "spoofing",
        "curfew_broken": "curfew",
        "exclusion_entered": "exclusion_zone",
        "authorisation_lapsed": "authorisation",
        "leave_cured": "overdue_return",
        "leave_astray": "off_itinerary",
        "lost_off": "lost_contact",
        "lost_dead": "lost_contact",
        "lost_gone": "lost_contact",
    }
    kinds_of: dict[str, set[str]] = {}
    for plan, fact in facts():
        kinds_of.setdefault(plan.role.story, set()).add(fact["kind"])
    for story, kind in wanted.items():
        assert kind in kinds_of[story], story
    for story in ("curfew_kept", "exclusion_kept", "leave_in_time", "leave_tight", ""):
        unwanted = {"curfew", "exclusion_zone", "leave_city", "overdue_return", "tamper"}
        assert not kinds_of.get(story, set()) & unwanted


def test_positions_are_wrong_as_the_noise_model_says() -> None:
    """The radius that is claimed holds about 68 % of satellite positions; cell ones are far off."""
    off: dict[str, list[float]] = {"gnss": [], "wifi": [], "cell": []}
    within: list[bool] = []
    for plan in [p for p in plans() if not p.role.story and not p.role.band][:60]:
        track = lived(plan).track
        for _, line in recordings()[plan.supervisee_id].lines[::7]:
            event = json.loads(line)
            for fix in event.get("fixes", ()):
                lon, lat = to_wgs84([fix["lon"]], [fix["lat"]], event["datum"])
                x, y = track.spot(posix(fix["time"]))
                far_m = float(np.hypot((lon[0] - x) * KX_M, (lat[0] - y) * KY_M))
                off[fix["source"]].append(far_m)
                if fix["source"] == "gnss":
                    within.append(far_m <= fix["accuracy_m"])
    assert 4 < np.median(off["gnss"]) < 25
    assert 15 < np.median(off["wifi"]) < 60
    assert 200 < np.median(off["cell"]) < 800
    assert 0.55 < np.mean(within) < 0.72
    shares = {source: len(found) / sum(map(len, off.values())) for source, found in off.items()}
    assert 0.45 < shares["wifi"] < 0.75


def test_shares_of_the_city_are_those_stated() -> None:
    roles = deal(SEED, CITY_PEOPLE)
    assert sum(role.band for role in roles) == 330
    assert sum(not role.phone for role in roles) == 110
    stories = Counter(role.story for role in roles)
    assert {story: stories[story] for story in PARTS} == PARTS
    some = [person(SEED, role) for role in roles if not role.band][::8]
    n = len(some)
    for what, shares in (
        ("level", {"loose": 0.35, "normal": 0.50, "strict": 0.15}),
        ("datum", {"gcj02": 0.60, "bd09": 0.15, "wgs84": 0.25}),
        ("home_kind", {"plain": 0.945, "land": 0.04, "river": 0.015}),
    ):
        found = Counter(getattr(plan, what) for plan in some)
        for name, share in shares.items():
            assert found[name] / n == pytest.approx(share, abs=0.04), (what, name)


def test_homes_lie_where_they_are_said_to(zones: ZoneIndex) -> None:
    for plan in plans():
        [depth_m] = -zones.classify([plan.home[0]], [plan.home[1]]).distance_m
        nearest, farthest = {
            "land": (35.0, 300.5),
            "river": (35.0, 500.0),
            "plain": (300.0, np.inf),
        }[plan.home_kind]
        assert nearest <= depth_m <= farthest
        assert zones.places([plan.home[0]], [plan.home[1]]) == [plan.district]


def test_a_sample_holds_all_breaches_and_every_other_part() -> None:
    chosen = sample_plans(500, SEED)
    assert len(chosen) == 500
    stories = Counter(plan.role.story for plan in chosen)
    assert all(stories[story] == 1 for story in BREACHES)
    assert all(stories[story] >= 1 for story in PARTS)
    assert stories["leave_in_time"] == round(420 * 500 / CITY_PEOPLE)
    lines, truth = sample(15, SEED)
    assert sum(fact["breach"] for fact in truth) == len(BREACHES)
    assert len({json.loads(line)["supervisee_id"] for line in lines[-15:]}) == 15


def test_a_city_must_have_room_for_what_happens() -> None:
    with pytest.raises(ValueError, match="at least"):
        deal(SEED, 20)


def test_times_are_written_in_chinas_time() -> None:
    assert local_text(BEGIN_S) == "2024-02-02T00:00:00+08:00"
    assert local_text(END_S) == "2024-02-25T00:00:00+08:00"
    assert utc_text(BEGIN_S) == "2024-02-01T16:00:00Z"
