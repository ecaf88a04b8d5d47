"""The page of a dossier: it stays on the machine, says what the dossier says, and prints."""

from __future__ import annotations

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from oneperson import (
    DONGGUAN,
    HENAN,
    check_in,
    composed,
    disposal,
    leave,
    sanction,
    supervised,
    upload,
    uploads,
    zone,
)

from geomon.dossier import Dossier
from geomon.dossier.bands import CHECK_IN_COLOURS, MOST_DAYS, WHERE_COLOURS, days, overview
from geomon.dossier.page import dossier_page, write_page
from geomon.dossier.wording import Wording
from geomon.errors import UserError
from geomon.zones.index import ZoneIndex

OFFSET_S = 8 * 3600
HOSTILE = '<script>alert("1")</script>'


@pytest.fixture(scope="module")
def dossier(zones: ZoneIndex) -> Dossier:
    return composed(
        zones,
        [
            supervised("01-01 00:00"),
            zone("01-02 09:00"),
            leave("01-20 09:00", "02-03 00:00", "02-06 00:00"),
            *uploads("02-01 00:00", "02-03 06:00", every_min=20),
            *uploads("02-03 06:00", "02-05 20:00", HENAN),
            *uploads("02-05 20:00", "02-08 00:00", every_min=20),
            *uploads("02-08 00:00", "02-09 00:00", DONGGUAN, every_min=20),
            upload("02-09 09:00", device="wristband", strap="open"),
            check_in("02-09 10:00"),
            sanction("02-09 11:00", "S-1"),
            disposal("02-09 12:00", "SZ-0001/tamper/2024-02-09T01:00:00Z", result=HOSTILE),
        ],
        end="02-11 00:00",
    )


@pytest.fixture(scope="module")
def page(dossier: Dossier, zones: ZoneIndex) -> str:
    return dossier_page(dossier, zones.names, OFFSET_S)


def test_it_loads_and_runs_nothing(page: str) -> None:
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert "<script" not in page
    outside = re.findall(r"""(?:src|href|url)\s*[=(]|https?://[^"]*""", page)
    assert set(outside) <= {"http://www.w3.org/2000/svg"}


def test_what_an_officer_wrote_stays_text(page: str) -> None:
    assert "&lt;script&gt;" in page


def test_it_prints_on_a4_and_says_what_it_is(page: str) -> None:
    assert "@page { size:A4" in page
    assert "个人敏感信息" in page
    assert "sensitive" in page
    assert "@@" not in page


def test_every_section_with_something_in_it_is_there(page: str, dossier: Dossier) -> None:
    headings = re.findall(r"<h2>([^<]+)</h2>", page)
    for heading in ("外出请假 Leaves", "限制区域 Zones", "处分 Sanctions", "处置 Disposals"):
        assert heading in headings
    assert "经常性跨市县活动 Standing permits" not in headings
    assert "河南省 410000" in page


def test_the_same_dossier_is_the_same_page(page: str, dossier: Dossier, zones: ZoneIndex) -> None:
    assert dossier_page(dossier, zones.names, OFFSET_S) == page


def bars(svg: str, colour: str) -> list[tuple[float, float]]:
    found = re.findall(rf'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"[^>]*fill="{colour}"', svg)
    return [(float(x), float(width)) for x, width in found]


def test_bands_are_as_long_as_what_they_stand_for(dossier: Dossier, zones: ZoneIndex) -> None:
    """Ten days, of which the third to the fifth were spent away, on a permit."""
    svg = overview(dossier, Wording(zones.names, OFFSET_S), OFFSET_S)
    (x, width) = bars(svg, WHERE_COLOURS["leave"])[0]
    lane_from, lane = 118.0, 596.0
    first_s, end_s = dossier.person.time_s, dossier.end_s
    stay = next(e for e in dossier.sections["presence"] if getattr(e, "permit_id", None))
    assert x == pytest.approx(
        lane_from + lane * (stay.time_s - first_s) / (end_s - first_s), abs=0.1
    )
    until_s = getattr(stay, "until_s")  # noqa: B009
    assert width == pytest.approx(lane * (until_s - stay.time_s) / (end_s - first_s), abs=0.1)
    assert bars(svg, WHERE_COLOURS["outside"])
    assert bars(svg, CHECK_IN_COLOURS["missed"])
    for label in ("违规离深", "拆卸/断带", "处分处置 measures", "外出 leaves"):
        assert f">{label}</text>" in svg


def test_days_are_rows_and_no_more_than_fit(dossier: Dossier, zones: ZoneIndex) -> None:
    words = Wording(zones.names, OFFSET_S)
    svg = days(dossier, words, OFFSET_S)
    shown = re.findall(r">(2024-\d\d-\d\d)</text>", svg)
    assert shown == [f"2024-02-{day:02}" for day in range(1, 11)]
    year = composed(zones, [*uploads("01-01 00:00", "06-01 00:00", every_min=12 * 60)])
    assert days(year, words, OFFSET_S).count("</text>") == MOST_DAYS + 9
    assert days(composed(zones, [supervised("01-01 00:00")]), words, OFFSET_S) == ""


def test_a_dossier_of_one_moment_can_be_drawn(zones: ZoneIndex) -> None:
    page = dossier_page(composed(zones, [supervised("01-01 00:00")]), zones.names, OFFSET_S)
    assert "<svg" in page


def test_only_its_owner_may_read_the_file(dossier: Dossier, tmp_path: Path) -> None:
    path = tmp_path / "SZ-0001.html"
    write_page(dossier, {}, OFFSET_S, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(UserError, match="cannot write"):
        write_page(dossier, {}, OFFSET_S, tmp_path / "nowhere" / "x.html")


def test_a_page_over_one_that_all_could_read_is_its_owners_alone(
    dossier: Dossier, tmp_path: Path
) -> None:
    kept, link = tmp_path / "kept.html", tmp_path / "newest.html"
    kept.write_text("of last year")
    kept.chmod(0o644)
    link.symlink_to(kept)
    with kept.open() as reader:
        write_page(dossier, {}, OFFSET_S, link)
        assert reader.read() == "of last year", "who had it open does not see the new one"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "SZ-0001" in kept.read_text("utf-8")
    assert link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [kept, link]


def test_a_device_is_written_to_and_stays_one(dossier: Dossier, tmp_path: Path) -> None:
    link = tmp_path / "nowhere.html"
    link.symlink_to("/dev/null")
    write_page(dossier, {}, OFFSET_S, link)
    assert link.is_char_device()
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, ThreadPoolExecutor() as pool:
        whole = pool.submit(pipe.read)
        write_page(dossier, {}, OFFSET_S, Path(f"/dev/fd/{writing}"))
        os.close(writing)
        assert b"SZ-0001" in whole.result()


def test_a_page_that_could_not_be_written_leaves_nothing_behind(
    dossier: Dossier, tmp_path: Path
) -> None:
    (tmp_path / "taken.html").mkdir()
    with pytest.raises(UserError, match="cannot write"):
        write_page(dossier, {}, OFFSET_S, tmp_path / "taken.html")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.html"]
