"""On leave, but not where the leave is for (偏离外出目的地)."""

from __future__ import annotations

import random

import pytest
from timeline import Fix, Story, moment

FAR_M = 6_000.0
HENAN, RUNAN, YULIN, HENAN_UNNAMED = "410000", "411727", "450900", "410000"


def on_leave(*to: str, kind: str = "leave", until: str = "18 00:00") -> Story:
    story = Story()
    story.stay("08:00", "09:00")
    story.leave("08:30", "09:00", until, to=to, kind=kind)
    return story


def test_travel_within_the_allowance() -> None:
    story = on_leave(HENAN)
    story.stay("09:00", "14 08:00", FAR_M, every_s=900, place=YULIN)
    story.stay("14 08:00", "17 08:00", FAR_M, every_s=900, place=RUNAN)
    story.stay("17 08:00", "17 20:00", FAR_M, every_s=900, place="440100")
    story.stay("17 20:00", "17 23:00", every_s=900)
    assert story.told() == []


def test_beyond_the_allowance_closing_at_the_destination() -> None:
    story = on_leave(HENAN)
    story.stay("09:00", "14 12:00", FAR_M, every_s=900, place=YULIN)
    story.stay("14 12:00", "15 08:00", FAR_M, every_s=900, place=RUNAN)
    assert story.told() == [
        "opened off_itinerary since 13 09:00 (outside_destinations)",
        "closed off_itinerary since 13 09:00 until 14 12:00 (at_destination)",
    ]
    opened = story.alerts[0]
    assert opened.detected_s - opened.since_s == 24 * 3600 + 5
    assert (opened.place, opened.permit_id, opened.severity) == (YULIN, "L-1", "medium")


def test_beyond_the_allowance_closing_on_return() -> None:
    story = on_leave(HENAN)
    story.stay("09:00", "14 12:00", FAR_M, every_s=900, place=YULIN)
    story.stay("14 12:00", "14 14:00")
    assert story.told()[1:] == ["closed off_itinerary since 13 09:00 until 14 12:00 (returned)"]


def test_beyond_the_allowance_closing_at_the_leaves_end() -> None:
    story = on_leave(HENAN, until="15 00:00")
    story.stay("09:00", "15 02:00", FAR_M, every_s=900, place=YULIN)
    assert story.told() == [
        "opened off_itinerary since 13 09:00 (outside_destinations)",
        "closed off_itinerary since 13 09:00 until 15 00:00 (leave_ended)",
        "opened overdue_return since 15 00:00 (outside_after_leave)",
    ]


def test_a_province_as_destination_takes_in_its_districts() -> None:
    story = on_leave(HENAN)
    story.stay("09:00", "16 00:00", FAR_M, every_s=900, place=RUNAN)
    assert story.told() == []


def test_a_district_as_destination_leaves_out_its_neighbours() -> None:
    story = on_leave(RUNAN)
    story.stay("09:00", "16 00:00", FAR_M, every_s=900, place="411728")
    assert story.episodes() == [("off_itinerary", "13 09:00", "")]


def test_a_place_known_by_its_province_alone_does_not_contradict_a_district() -> None:
    story = on_leave(RUNAN)
    story.stay("09:00", "16 00:00", FAR_M, every_s=900, place=HENAN_UNNAMED)
    assert story.told() == []


def test_hong_kong_needs_a_leave_that_names_it() -> None:
    story = on_leave("810000")
    story.stay("09:00", "16 00:00", FAR_M, every_s=900, place="810000")
    assert story.told() == []
    story = on_leave(HENAN)
    story.stay("09:00", "16 00:00", FAR_M, every_s=900, place="810000")
    assert story.episodes() == [("off_itinerary", "13 09:00", "")]


def test_anywhere_is_anywhere() -> None:
    story = on_leave("000000")
    story.stay("09:00", "16 00:00", FAR_M, every_s=900, place="")
    assert story.told() == []


def test_abroad_where_no_place_has_a_code_is_off_the_itinerary() -> None:
    story = on_leave(HENAN)
    story.stay("10:15", "16 00:00", 400_000, every_s=900, place="")
    assert story.episodes() == [("off_itinerary", "13 10:15", "")]


def test_a_standing_permit_allows_hours_not_a_day() -> None:
    story = on_leave("441900", kind="standing", until="03-13 00:00")
    story.stay("09:00", "12:00", 5_000, every_s=300, place="441900")
    story.stay("12:00", "17:00", FAR_M, every_s=300, place="441300")
    assert story.told() == ["opened off_itinerary since 13 12:00 (outside_destinations)"]
    opened = story.alerts[0]
    assert opened.detected_s - opened.since_s == 4 * 3600 + 5


def test_home_in_between_starts_the_allowance_anew() -> None:
    story = on_leave(HENAN)
    story.stay("09:00", "14 06:00", FAR_M, every_s=900, place=YULIN)
    story.stay("14 06:00", "14 09:00", every_s=900)
    story.stay("14 09:00", "15 06:00", FAR_M, every_s=900, place=YULIN)
    assert story.told() == []


def test_many_places_on_the_way_do_not_rename_the_episode() -> None:
    """The places of one stay are bounded; that must not move the beginning of what is told."""
    story = on_leave(HENAN, until="28 00:00")
    places = ["450900", "450981", "450922", "450923"]
    story.stay("09:00", "15 00:00", FAR_M, every_s=900, place=places[0])
    for n in range(240):
        day, hour = divmod(n, 24)
        begin, end = f"{15 + day} {hour:02}:00", f"{15 + day} {hour:02}:59"
        story.stay(begin, end, FAR_M, every_s=1200, place=places[n % 4])
    assert story.told() == ["opened off_itinerary since 13 09:00 (outside_destinations)"]
    assert len(story.person.tail.runs) <= 64


def test_a_second_leave_that_follows_at_once_carries_the_straying_on() -> None:
    story = on_leave(HENAN, until="14 00:00")
    story.leave("08:31", "14 00:00", "16 00:00", to=[HENAN], permit_id="L-2")
    story.stay("09:00", "14 12:00", FAR_M, every_s=900, place=YULIN)
    assert story.told() == ["opened off_itinerary since 13 09:00 (outside_destinations)"]


#: More places, one after the other, than are kept of a stay.
MANY = 300


def moving(
    places: list[str], *, to: str = RUNAN, every_s: int = 1_800, kind: str = "leave"
) -> Story:
    """A day where the leave is for, and then a report here and a report there."""
    story = Story(device="phone")
    story.stay("08:00", "09:00")
    story.leave("08:30", "09:00", "03-10 00:00", to=[to], kind=kind)
    story.stay("09:00", "14 09:00", FAR_M, every_s=1_800, place=to)
    begin_s = moment("14 09:00")
    seen = [Fix(begin_s + n * every_s, FAR_M, place=p) for n, p in enumerate(places)]
    story.live(seen)
    assert len(story.person.tail.runs) <= 64
    return story


@pytest.mark.parametrize(
    "places",
    [
        [("440106", "440104")[n % 2] for n in range(MANY)],
        [("440106", "440104", "441300")[n % 3] for n in range(MANY)],
        [f"42{n % 90 + 10}01" for n in range(MANY)],
    ],
)
def test_beside_a_border_or_on_the_road_for_days_is_one_episode(places: list[str]) -> None:
    """Two reports in one place are rare then; what was seen first still names it."""
    told = [line for line in moving(places).told() if "still_open" not in line]
    assert told == ["opened off_itinerary since 14 09:00 (outside_destinations)"]


@pytest.mark.parametrize("kind", ["leave", "standing"])
@pytest.mark.parametrize("every", [2, 6])
def test_beside_the_border_of_the_destination_is_at_the_destination(kind: str, every: int) -> None:
    places = [RUNAN if n % every == 0 else "441300" for n in range(MANY)]
    assert moving(places, kind=kind).told() == []


@pytest.mark.parametrize("seed", range(3))
def test_now_and_then_at_the_destination_is_within_the_allowance(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    others = [rng.choice(["441300", "411403"]) for _ in range(MANY)]
    places = [RUNAN if n % 3 == 0 else other for n, other in enumerate(others)]
    assert moving(places).told() == []
