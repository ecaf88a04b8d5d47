"""The picture: what a recording becomes, what its colours claim, that its files open anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import shapely
from everykind import everything

from geomon.alerts import KINDS
from geomon.cases import expected, recording_path
from geomon.core.episodes import OF_PLACE
from geomon.errors import UnavailableError, UserError
from geomon.intake import Intake
from geomon.picture import Leave, Story, TrackPoint, draw_html, draw_png, stories_from
from geomon.picture import png as png_module
from geomon.picture.scene import (
    INSIDE,
    LEAVE,
    OPEN_ALERT,
    UNJUDGED,
    Episode,
    Scene,
    outlines,
    scene_of,
)
from geomon.replay import Replay, open_recording
from geomon.settings import Settings, rules_from
from geomon.zones.files import read_zone_file, zone_directory
from geomon.zones.index import zones_for

# A made-up city of about 40 by 22 km, its western and eastern half, and the county beside it.
CITY = shapely.box(114.0, 22.5, 114.4, 22.7)
DISTRICTS = [
    ("440304", "福田区", shapely.box(114.0, 22.5, 114.2, 22.7)),
    ("440307", "龙岗区", shapely.box(114.2, 22.5, 114.4, 22.7)),
]
PLACES = [
    ("440000", "广东省", shapely.box(113.0, 22.5, 115.0, 24.0)),
    ("440300", "深圳市", shapely.box(114.0, 22.5, 114.4, 22.7)),
    ("441900", "东莞市", shapely.box(113.5, 22.7, 114.4, 23.2)),
    ("410000", "河南省", shapely.box(111.0, 32.0, 116.0, 36.0)),
]
HOME, DONGGUAN, HENAN = (114.1, 22.6), (113.9, 22.9), (113.6, 34.7)
NOON = datetime(2024, 2, 13, 4, tzinfo=timezone.utc)  # 12:00 in China
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def fix(
    after: timedelta,
    where: tuple[float, float] = HOME,
    *,
    accuracy_m: float | None = 10.0,
    source: str = "gnss",
    device: str = "phone",
) -> TrackPoint:
    return TrackPoint(NOON + after, *where, accuracy_m, source, device)


def alert(
    kind: str,
    phase: str,
    since: datetime,
    *,
    until: datetime | None = None,
    reason: str = "outside_without_leave",
    at: tuple[float, float] | None = DONGGUAN,
    subject: str = "SZ-1",
) -> dict[str, Any]:
    episode = f"{subject}/{kind}/{since:%Y-%m-%dT%H:%M:%SZ}"
    position = None if at is None else {"lon": at[0], "lat": at[1], "accuracy_m": 10}
    detected = (until or since) + 3 * MINUTE
    return {
        "id": f"{episode}#{phase}",
        "type": f"geomon.alert.{phase}",
        "subject": subject,
        "data": {
            "episode": episode,
            "kind": kind,
            "phase": phase,
            "severity": "high",
            "since": since.isoformat(),
            "until": until.isoformat() if until else None,
            "detected": detected.isoformat(),
            "reason": reason,
            "place": "441900",
            "position": position,
        },
    }


def away_for_a_day(title: str = "Case C · 当日往返") -> Story:
    """At home, two hours in Dongguan with an alert, at home again."""
    track = [fix(i * 10 * MINUTE) for i in range(-12, 0)]
    track += [fix(i * 10 * MINUTE, DONGGUAN) for i in range(12)]
    track += [fix(i * 10 * MINUTE) for i in range(12, 24)]
    back = NOON + 2 * HOUR
    alerts = [
        alert("leave_city", "opened", NOON),
        alert("leave_city", "closed", NOON, until=back, reason="returned", at=HOME),
    ]
    return Story(title, "SZ-1", track, [], alerts)


def line(event: dict[str, Any]) -> bytes:
    return json.dumps({"supervisee_id": "SZ-1", **event}).encode()


def upload(*fixes: dict[str, Any], datum: str | None = "wgs84") -> bytes:
    event: dict[str, Any] = {"type": "upload", "device_id": "p", "device": "phone"}
    return line({**event, "fixes": list(fixes)} | ({"datum": datum} if datum else {}))


def sent(time: str, lon: float = 114.1, lat: float = 22.6) -> dict[str, Any]:
    return {"time": f"2024-02-13T{time}+08:00", "lon": lon, "lat": lat, "accuracy_m": 20}


def permit(until: str, **more: Any) -> bytes:
    event = {"type": "permit", "permit_id": "L-1", "kind": "leave", "destinations": ["410000"]}
    return line({**event, "from": "2024-02-03T00:00:00+08:00", "until": until, **more})


def standings(scene: Scene) -> list[int]:
    return [int(code) for code in scene.standing]


# ---- reading a recording ----


@pytest.mark.parametrize(
    ("datum", "lon", "lat"),
    [
        ("wgs84", 114.113700, 22.531800),
        ("gcj02", 114.118806, 22.529113),
        ("bd09", 114.125219, 22.535451),
    ],
)
def test_the_same_spot_in_any_datum_is_drawn_at_the_same_spot(
    datum: str, lon: float, lat: float
) -> None:
    [story] = stories_from([upload(sent("12:00:00", lon, lat), datum=datum)], [], {})
    assert story.track[0].lon == pytest.approx(114.1137, abs=2e-6)
    assert story.track[0].lat == pytest.approx(22.5318, abs=2e-6)


def test_a_burst_newest_first_and_sent_twice_is_a_track_in_order() -> None:
    burst = upload(sent("12:20:00"), sent("12:10:00"), sent("12:00:00"))
    [story] = stories_from([upload(sent("12:30:00")), burst, burst], [], {"SZ-1": "Case"})
    assert [p.time.minute for p in story.track] == [0, 10, 20, 30]
    assert all(p.time.utcoffset() == timedelta(0) for p in story.track)
    assert story.title == "Case"


def test_positions_without_a_datum_and_broken_lines_are_not_drawn() -> None:
    lines: list[bytes | str] = [
        upload(sent("12:00:00"), datum=None),
        b"{broken",
        "\n",
        upload(sent("12:05:00", lat=95.0), sent("12:10:00")),
        line({"type": "check_in", "device_id": "p", "time": "2024-02-13T12:00:00+08:00"}),
    ]
    [story] = stories_from(lines, [], {})
    assert [p.time.minute for p in story.track] == [10]


def test_an_extension_replaces_the_leave_and_24_00_is_the_next_midnight() -> None:
    lines = [permit("2024-02-09T24:00:00+08:00"), permit("2024-02-12T24:00:00+08:00")]
    [first] = stories_from(lines[:1], [], {})
    [extended] = stories_from(lines, [], {})
    assert first.leaves[0].until == datetime(2024, 2, 9, 16, tzinfo=timezone.utc)
    assert [leave.until.day for leave in extended.leaves] == [12]
    assert extended.leaves[0].destinations == ("410000",)


def test_a_cancelled_leave_is_gone_and_a_return_ends_one_early() -> None:
    granted = permit("2024-02-09T24:00:00+08:00")
    cancelled = permit("2024-02-09T24:00:00+08:00", status="cancelled")
    back = line({"type": "return", "permit_id": "L-1", "time": "2024-02-07T18:00:00+08:00"})
    assert stories_from([granted, cancelled], [], {})[0].leaves == []
    [returned] = stories_from([granted, back], [], {})
    assert returned.leaves[0].until == datetime(2024, 2, 7, 10, tzinfo=timezone.utc)


def test_each_person_has_a_story_with_their_own_alerts() -> None:
    lines = [upload(sent("12:00:00")), upload(sent("12:00:00")).replace(b"SZ-1", b"SZ-2")]
    alerts = [alert("leave_city", "opened", NOON, subject="SZ-2")]
    one, two = stories_from(lines, alerts, {})
    assert (one.supervisee_id, len(one.alerts)) == ("SZ-1", 0)
    assert (two.supervisee_id, len(two.alerts)) == ("SZ-2", 1)


# ---- what the colours claim ----


def test_away_with_an_alert_open_is_red_and_the_rest_is_not() -> None:
    scene = scene_of(away_for_a_day(), CITY)
    assert standings(scene) == [INSIDE] * 12 + [OPEN_ALERT] * 12 + [INSIDE] * 12
    assert [bar.standing for bar in scene.bars] == [INSIDE, OPEN_ALERT, INSIDE]
    [episode] = scene.episodes
    assert (episode.opened_at, episode.closed_at) == (DONGGUAN, HOME)
    assert episode.until == NOON + 2 * HOUR
    assert episode.closed_reason == "returned"


def test_away_within_a_leave_is_green_until_the_leave_ends() -> None:
    track = [fix(i * HOUR, DONGGUAN) for i in range(4)]
    leave = Leave(NOON - HOUR, NOON + HOUR)
    scene = scene_of(Story("B", "SZ-1", track, [leave]), CITY)
    assert standings(scene) == [LEAVE, LEAVE, UNJUDGED, UNJUDGED]


def test_a_withdrawn_alert_colours_nothing() -> None:
    story = away_for_a_day()
    story.alerts[1]["data"]["reason"] = "withdrawn"
    scene = scene_of(story, CITY)
    assert scene.episodes[0].is_withdrawn
    assert OPEN_ALERT not in standings(scene)


def test_one_fix_across_the_line_is_drawn_but_makes_no_bar() -> None:
    track = [fix(i * MINUTE) for i in range(10)]
    track[5] = fix(5 * MINUTE, (114.1, 22.499))
    scene = scene_of(Story("jitter", "SZ-1", track), CITY)
    assert standings(scene)[5] == UNJUDGED
    assert [bar.standing for bar in scene.bars] == [INSIDE]


def test_the_line_does_not_follow_a_cell_jump_unless_cells_are_all_there_is() -> None:
    jump = fix(15 * MINUTE, (114.1, 22.45), accuracy_m=1500, source="cell")
    unsaid = fix(20 * MINUTE, (114.1, 22.45), accuracy_m=None, source="cell")
    alone = fix(9 * HOUR, accuracy_m=1500, source="cell")
    scene = scene_of(Story("cell", "SZ-1", [fix(0 * HOUR), jump, unsaid, alone]), CITY)
    assert list(scene.firm) == [True, False, False, True]


def test_a_silence_of_hours_is_a_gap_in_the_bar() -> None:
    track = [fix(i * HOUR) for i in (0, 1, 2, 8, 9)]
    bars = scene_of(Story("quiet", "SZ-1", track), CITY).bars
    assert [(b.start - NOON, b.until - NOON) for b in bars] == [
        (0 * HOUR, 2 * HOUR),
        (8 * HOUR, 9 * HOUR),
    ]


def test_a_missed_check_in_is_a_moment_and_a_tamper_lasts() -> None:
    alerts = [
        alert("missed_check_in", "opened", NOON, at=None),
        alert("tamper", "opened", NOON + HOUR, at=None),
    ]
    scene = scene_of(Story("B", "SZ-1", [fix(0 * HOUR), fix(9 * HOUR)], [], alerts), CITY)
    assert [(e.number, e.is_moment) for e in scene.episodes] == [(1, True), (2, False)]


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_about_a_place_is_marked_on_the_map(kind: str) -> None:
    """Others say where the person was last, which is not where a battery ran low."""
    alerts = [
        alert(kind, "opened", NOON, at=DONGGUAN),
        alert(kind, "closed", NOON, until=NOON + HOUR, reason="disposed", at=HOME),
    ]
    [episode] = scene_of(Story("B", "SZ-1", [fix(0 * HOUR)], [], alerts), CITY).episodes
    placed = kind in OF_PLACE | {"border_approach"}
    assert episode.opened_at == (DONGGUAN if placed else None)
    assert episode.closed_at == (HOME if placed else None)
    assert (episode.kind, episode.until) == (kind, NOON + HOUR)  # in table and timeline as ever


def test_silence_far_away_does_not_widen_the_map() -> None:
    alerts = [alert("lost_contact", "opened", NOON, at=HENAN)]
    scene = scene_of(Story("B", "SZ-1", [fix(0 * HOUR)], [], alerts), CITY)
    assert scene.journey is None
    assert OPEN_ALERT not in standings(scene)


def test_a_journey_across_the_country_leaves_the_first_view_with_the_city() -> None:
    far = Story("B", "SZ-1", [fix(0 * HOUR), fix(8 * HOUR, HENAN)])
    near = away_for_a_day()
    scene = scene_of(far, CITY)
    assert scene.frame.north < 23
    assert scene.journey is not None
    assert scene.journey.has(*HENAN)
    assert scene.journey.has(*HOME)
    assert scene_of(near, CITY).journey is None
    assert scene_of(near, CITY).frame.has(*DONGGUAN)
    assert scene.frame.aspect == pytest.approx(1.0824, abs=2e-3)  # 1/cos(22.6 degrees)


def test_the_ground_leaves_out_the_citys_own_coarse_outline_and_what_is_far() -> None:
    scene = scene_of(away_for_a_day(), CITY)
    codes = [o.adcode for o in outlines(CITY, PLACES, scene.frame, None)]
    assert codes == ["440000", "441900"]


def test_a_long_track_is_thinned_without_changing_what_it_says() -> None:
    track = [fix(timedelta(seconds=i), HOME) for i in range(60_000)]
    track[30_000:30_010] = [fix(timedelta(seconds=i), DONGGUAN) for i in range(30_000, 30_010)]
    story = Story("long", "SZ-1", track)
    thin, whole = scene_of(story, CITY), scene_of(story, CITY, most_points=100_000)
    assert len(thin.track) <= 20_000
    assert len(whole.track) == 60_000
    assert thin.bars == whole.bars
    assert UNJUDGED in standings(thin)
    assert (thin.track[0], thin.track[-1]) == (track[0], track[-1])


def test_jitter_by_the_thousand_cannot_defeat_the_thinning() -> None:
    track = [fix(timedelta(seconds=i), DONGGUAN if i % 2 else HOME) for i in range(50_000)]
    assert len(scene_of(Story("jitter", "SZ-1", track), CITY).track) <= 20_000


# ---- the page ----


def drawn(tmp_path: Path, *stories: Story) -> str:
    path = tmp_path / "picture.html"
    draw_html(stories, CITY, DISTRICTS, PLACES, path, title="geomon demo")
    return path.read_text(encoding="utf-8")


def contents(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_page_reaches_for_nothing_outside_itself(tmp_path: Path) -> None:
    page = drawn(tmp_path, away_for_a_day())
    assert not re.search(r"https?:|//[a-z]|<link|<img|<iframe|@import|url\(", page)
    assert not re.search(r"\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon", page)
    assert "@@" not in page


def test_the_page_allows_its_viewer_and_no_other_script(tmp_path: Path) -> None:
    page = drawn(tmp_path, away_for_a_day())
    viewer = page[page.rindex("<script>") + len("<script>") : page.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(viewer.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'" in page


def test_the_page_tells_the_alert_in_both_languages_and_local_time(tmp_path: Path) -> None:
    page = drawn(tmp_path, away_for_a_day())
    for words in (
        "违规离深",
        "leave_city",
        "2024-02-13 12:00:00",
        "2024-02-13 14:00:00 <small>(2.0 h)</small>",
        "2024-02-13 12:03:00 <small>(+3 min)</small>",
        "未经批准离开本市",
        "已回到本市",
        "东莞市 Dongguan",
    ):
        assert words in page
    still = away_for_a_day()
    del still.alerts[1]
    assert "still open 未结束" in drawn(tmp_path, still)
    assert "still open" not in page[: page.index("<script")]


def test_the_packed_track_unpacks_to_within_a_metre(tmp_path: Path) -> None:
    story = away_for_a_day()
    [case] = contents(drawn(tmp_path, story))["cases"]
    for name in ("lon", "lat"):
        unpacked = [step * 1e-5 for step in accumulate(case[name])]
        assert unpacked == pytest.approx([getattr(p, name) for p in story.track], abs=6e-6)
    assert list(accumulate(case["time"])) == [int(p.time.timestamp()) for p in story.track]
    assert case["standing"] == "0" * 12 + "3" * 12 + "0" * 12


def test_a_title_cannot_smuggle_markup_into_the_page(tmp_path: Path) -> None:
    story = away_for_a_day("</script><script>alert(1)</script>")
    story.leaves.append(Leave(NOON, NOON + HOUR, ("</script><b>",)))
    page = drawn(tmp_path, story)
    assert "<script>alert(1)" not in page
    assert page.count("</script>") == 2
    assert contents(page)["cases"][0]["leaves"][0]["label"] == "</script><b>"


def test_the_same_stories_make_the_same_page(tmp_path: Path) -> None:
    assert drawn(tmp_path, away_for_a_day()) == drawn(tmp_path, away_for_a_day())


def test_several_cases_are_tabs_of_one_page(tmp_path: Path) -> None:
    other = away_for_a_day("Case A")
    other.supervisee_id = "SZ-2"
    page = drawn(tmp_path, away_for_a_day(), other)
    assert page.count('role="tab"') == 2
    assert [case["id"] for case in contents(page)["cases"]] == ["SZ-1", "SZ-2"]


def test_mistakes_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to draw"):
        draw_html([], CITY, DISTRICTS, PLACES, tmp_path / "p.html")
    with pytest.raises(UserError, match="nothing to draw"):
        draw_html([Story("empty", "SZ-1")], CITY, DISTRICTS, PLACES, tmp_path / "p.html")
    with pytest.raises(UserError, match="cannot write"):
        draw_html([away_for_a_day()], CITY, DISTRICTS, PLACES, tmp_path / "no" / "p.html")
    broken = away_for_a_day()
    del broken.alerts[0]["data"]["since"]
    with pytest.raises(UserError, match="cannot be drawn"):
        draw_html([broken], CITY, DISTRICTS, PLACES, tmp_path / "p.html")


@pytest.mark.slow
def test_a_browser_draws_the_page_without_complaint(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on this machine to open the page with")
    far = Story("Case B", "SZ-2", [fix(0 * HOUR), fix(8 * HOUR, HENAN)])
    drawn(tmp_path, away_for_a_day(), far)
    for case, supervisee_id in ((1, "SZ-1"), (2, "SZ-2")):
        run = subprocess.run(
            [
                browser,
                *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update"),
                *("--disable-sync", "--enable-logging=stderr", "--virtual-time-budget=2000"),
                f"--user-data-dir={tmp_path / 'profile'}",
                "--dump-dom",
                f"{(tmp_path / 'picture.html').as_uri()}#{case}",
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert f'data-drawn="{supervisee_id}"' in run.stdout
        assert "CONSOLE" not in run.stderr


# ---- the PNG ----


def size_of(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def test_the_png_is_drawn_without_a_chinese_font_and_without_boxes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A glyph that the font lacks is a warning of matplotlib's, and warnings are errors here.
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(png_module, "_chinese_family", lambda: None)
    far = Story("Case B · 逾期未归", "SZ-2", [fix(0 * HOUR), fix(8 * HOUR, HENAN)])
    far.leaves.append(Leave(NOON, NOON + 9 * HOUR, ("410000", "411700")))
    many = away_for_a_day("$ 30 alerts")
    many.alerts = [alert("no_fix", "opened", NOON + i * MINUTE, at=None) for i in range(30)]
    path = tmp_path / "picture.png"
    draw_png([away_for_a_day(), far, many], CITY, DISTRICTS, PLACES, path)
    width, height = size_of(path)
    assert width == 1500
    assert height > 3 * 600
    draw_png([far], CITY, DISTRICTS, PLACES, path)
    assert size_of(path)[1] < height / 2


def test_among_many_alerts_the_absence_keeps_its_tall_card_and_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    cards: list[tuple[str, bool, float]] = []
    draw_card = png_module._Drawing._card

    def note(self: Any, axes: Any, episode: Episode, top: float, *, roomy: bool) -> None:
        cards.append((episode.kind, roomy, top))
        draw_card(self, axes, episode, top, roomy=roomy)

    monkeypatch.setattr(png_module._Drawing, "_card", note)
    story = away_for_a_day()
    before = [alert("missed_check_in", "opened", NOON - i * HOUR, at=None) for i in (9, 6)]

    def drawn_with(*others: dict[str, Any]) -> list[tuple[str, bool, float]]:
        cards.clear()
        mixed = Story(story.title, "SZ-1", story.track, [], [*others, *story.alerts])
        draw_png([mixed], CITY, DISTRICTS, PLACES, tmp_path / "p.png")
        return list(cards)

    # While there is room everything has a tall card, in order of time.
    few = drawn_with(*before)
    assert [(kind, roomy) for kind, roomy, _ in few] == [
        ("missed_check_in", True),
        ("missed_check_in", True),
        ("leave_city", True),
    ]
    quiet = [alert("no_fix", "opened", NOON + i * MINUTE, at=None) for i in range(30)]
    many = drawn_with(*before, *quiet)
    assert many[0] == ("leave_city", True, 0.0)
    assert [roomy for _, roomy, _ in many[1:]] == [False] * (len(many) - 1)
    tops = [top for _, _, top in many]
    assert tops == sorted(tops)
    assert 5 < len(many) <= 12
    assert tops[-1] < 4.6  # the words "and … more" still fit below


def test_a_story_of_every_kind_of_alert_is_drawn(tmp_path: Path) -> None:
    """Each by its label in the page; and neither page nor PNG minds an event it does not draw."""
    pytest.importorskip("matplotlib")
    lines = everything()
    replay = Replay(Intake(zones_for("440300")), rules_from(Settings()))
    alerts = [*replay.feed(lines), *replay.finish()]
    assert {a["data"]["kind"] for a in alerts} == set(KINDS)
    stories = stories_from((line.data for line in lines), alerts, {})
    assert [story.supervisee_id for story in stories] == sorted({a["subject"] for a in alerts})
    folder = zone_directory()
    [city] = read_zone_file(folder / "city-440300.geojson").features
    draw_html(stories, city.geometry, [], [], tmp_path / "every.html")
    page = (tmp_path / "every.html").read_text(encoding="utf-8")
    for kind, labels in KINDS.items():
        assert f"{labels.label_zh} <code>{kind}</code>" in page
    told = {a["data"]["episode"] for a in alerts}
    shown = [e["key"] for case in contents(page)["cases"] for e in case["episodes"]]
    assert sorted(shown) == sorted(told)
    draw_png(stories, city.geometry, [], [], tmp_path / "every.png")
    assert size_of(tmp_path / "every.png")[1] > len(stories) * 600


def test_without_a_chinese_font_only_latin_words_are_left() -> None:
    words = png_module._Words(chinese=False, names={"441900": "东莞市"})
    assert words.plain("Case C · out and back 未经批准离深（当日往返）in a day") == (
        "Case C · out and back in a day"
    )
    assert words.place("441900") == "Dongguan"
    assert words.place("411700") == "Henan 411700"
    both = png_module._Words(chinese=True, names={"441900": "东莞市"})
    assert both.place("441900") == "东莞市 Dongguan"


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UnavailableError, match=r"geomon\[demo\]"):
        draw_png([away_for_a_day()], CITY, DISTRICTS, PLACES, tmp_path / "p.png")


def test_the_page_needs_no_plotting_library() -> None:
    code = (
        "import sys\n"
        "import geomon.picture\n"
        "assert not {'matplotlib', 'plotly'} & set(sys.modules), 'not lazy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- the real thing ----


def test_case_a_is_drawn_on_the_real_city(tmp_path: Path) -> None:
    truth = expected()["A"]
    [since, until] = [datetime.fromisoformat(t[:-1] + "+00:00") for t in _bounds(truth)]
    subject = truth["supervisee_id"]
    alerts = [
        alert("leave_city", "opened", since, subject=subject),
        alert("leave_city", "closed", since, until=until, subject=subject),
    ]
    with open_recording(str(recording_path("A"))) as lines:
        [story] = stories_from(lines, alerts, {subject: "Case A"})
    folder = zone_directory()
    [city] = read_zone_file(folder / "city-440300.geojson").features
    scene = scene_of(story, city.geometry)
    away = sum((b.until - b.start for b in scene.bars if b.standing == OPEN_ALERT), timedelta())
    home = sum((b.until - b.start for b in scene.bars if b.standing == INSIDE), timedelta())
    assert timedelta(days=12) < away < until - since  # sixteen days less the phone's silences
    assert home > timedelta(days=7)
    path = tmp_path / "a.html"
    places = [
        (f.adcode, f.name, f.geometry) for f in read_zone_file(folder / "places.geojson").features
    ]
    draw_html([story], city.geometry, [], places, path)
    assert path.stat().st_size < 3_000_000
    assert contents(path.read_text(encoding="utf-8"))["city_name"] == "深圳市"


def _bounds(truth: dict[str, Any]) -> tuple[str, str]:
    [episode] = truth["episodes"]
    return episode["since"], episode["until"]
