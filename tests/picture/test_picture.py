"""The picture as a PNG, and of a real case."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from everykind import everything
from sketches import (
    CITY,
    DISTRICTS,
    HENAN,
    HOUR,
    MINUTE,
    NOON,
    PLACES,
    alert,
    away_for_a_day,
    contents,
    fix,
    size_of,
)

from geomon.alerts import KINDS
from geomon.cases import expected, recording_path
from geomon.errors import UnavailableError
from geomon.intake import Intake
from geomon.picture import Leave, Story, draw_html, draw_png, stories_from
from geomon.picture import png as png_module
from geomon.picture.scene import INSIDE, OPEN_ALERT, Episode, scene_of
from geomon.replay import Replay, open_recording
from geomon.settings import Settings, rules_from
from geomon.zones.files import read_zone_file, zone_directory
from geomon.zones.index import zones_for


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
