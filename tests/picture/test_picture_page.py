"""The picture as a page: nothing outside, one script, both languages."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import pytest
from sketches import (
    CITY,
    DISTRICTS,
    HENAN,
    HOUR,
    NOON,
    PLACES,
    away_for_a_day,
    contents,
    drawn,
    fix,
)

from geomon.errors import UserError
from geomon.picture import Leave, Story, draw_html


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


def test_the_page_needs_no_plotting_library() -> None:
    code = (
        "import sys\n"
        "import geomon.picture\n"
        "assert not {'matplotlib', 'plotly'} & set(sys.modules), 'not lazy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
