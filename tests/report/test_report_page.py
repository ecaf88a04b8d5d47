"""The page of a report: whole without a network, the same every time, and safe to open."""

from __future__ import annotations

import json
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from duty import at, episode, festival, log

from geomon.cli import cli
from geomon.report import Report, summarise
from geomon.report.page import report_page
from geomon.report.plots import MOST_PEOPLE, alarms_by_day, breaches_by_person, delays

SVG = "{http://www.w3.org/2000/svg}"


def story(people: int = 3) -> list[dict[str, Any]]:
    return log(
        *(
            episode(
                *(f"SZ-{n:04}", "leave_city", "02-13 08:00", f"opened 02-13 {8 + n % 12:02}:05"),
                *([] if n % 2 else ["closed 02-14 08:00 returned @02-14 07:50"]),
                **{"district": "440304", "street": "莲花街道", "place": "441900"},
            )
            for n in range(people)
        ),
        episode("SZ-9000", "overdue_return", "02-09 00:00", "opened 02-09 01:00"),
    )


def made(people: int = 3, **options: Any) -> Report:
    return summarise(story(people), *festival, **options)


def texts(svg: str) -> list[str]:
    drawing = ET.fromstring(svg)  # noqa: S314
    return ["".join(text.itertext()).strip() for text in drawing.iter(f"{SVG}text")]


def test_the_page_needs_nothing_from_anywhere() -> None:
    page = report_page(made(people=50, by="district"), {"440304": "福田区"})
    assert "default-src 'none'" in page
    for way_out in ("<script", "<link", "<img", "@import", 'src="', 'href="http', "url(http"):
        assert way_out not in page, way_out
    assert "@@" not in page


def test_the_page_says_who_what_and_when() -> None:
    page = report_page(made(), {"440304": "福田区"})
    for words in (
        "SZ-0001",
        "未经批准离开",
        "违规离深",
        "福田区 莲花街道",
        "02-13 08:00",
        "Dongguan",
    ):
        assert words in page, words
    assert page.count("<svg") == page.count("</svg>") == 3


def test_no_id_of_the_page_stands_twice() -> None:
    """Drawings refer to their parts by ids: a second one would borrow the first one's."""
    ids = re.findall(r'\bid="([^"]+)"', report_page(made(people=50), {}))
    assert ids
    assert len(set(ids)) == len(ids)


def test_the_same_report_is_the_same_page() -> None:
    assert report_page(made(), {}) == report_page(made(), {})


def test_an_id_can_do_nothing_to_the_page() -> None:
    evil = '<script>alert(1)</script>&"$x_1$'
    alarm = episode(evil, "leave_city", "02-13 08:00", "opened 02-13 08:05", street="<b>")
    page = report_page(summarise(alarm, *festival), {})
    assert "<script" not in page
    assert "<b>" not in page.split("</div>", 99)[-1]
    # The drawing shows it too: as a text, and the dollars begin no formula.
    assert evil in texts(breaches_by_person(summarise(alarm, *festival)))


def test_a_quiet_period_has_a_page_without_drawings() -> None:
    page = report_page(summarise([], *festival), {})
    assert "<svg" not in page
    assert "no alerts read" in page
    assert breaches_by_person(summarise([], *festival)) == ""


def test_days_and_kinds_stand_as_text_that_any_browser_can_draw() -> None:
    report = made()
    assert texts(alarms_by_day(report))[:9] == [f"02-{day:02}" for day in range(9, 18)]
    assert "违规离深 leave_city" in texts(delays(report.total))


def test_a_year_has_as_few_dates_as_a_week() -> None:
    year = summarise(story(), at("01-01"), at("12-31"))
    for drawing in (alarms_by_day(year), breaches_by_person(year)):
        assert 6 <= sum(text[2:3] == "-" and len(text) == 5 for text in texts(drawing)) <= 14


def test_the_timeline_ends_where_nobody_could_read_it() -> None:
    report = made(people=MOST_PEOPLE + 20)
    names = [text for text in texts(breaches_by_person(report)) if text.startswith("SZ-")]
    assert len(names) == MOST_PEOPLE
    page = report_page(report, {})
    assert f"the first {MOST_PEOPLE}" in page
    assert f"SZ-{MOST_PEOPLE + 19:04}" in page, "the table lists everybody"


def test_the_command_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "festival.html"
    source = tmp_path / "alerts.ndjson"
    source.write_text("\n".join(json.dumps(alert) for alert in story()))
    command = ["report", "--html", str(page), "--from", "2024-02-09", str(source)]
    done = CliRunner().invoke(cli, command)
    assert (done.exit_code, done.stdout) == (0, "")
    assert f"Report: {page}" in done.stderr
    assert "SZ-0001" in page.read_text("utf-8")
    # Without the plotting library it is one line that says what to install.
    page.unlink()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    failed = CliRunner().invoke(cli, command)
    assert failed.exit_code == 1
    assert "pip install 'geomon[demo]'" in str(failed.exception)
    assert not page.exists()
