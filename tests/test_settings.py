"""Settings: file < environment < flags, and every mistake in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from geomon.errors import SettingsError
from geomon.settings import Settings, load, rules_from


def test_a_flag_beats_the_environment_and_that_beats_the_file(tmp_path: Path) -> None:
    file = tmp_path / "geomon.toml"
    file.write_text('horizon_h = 6\nsettle_s = 10\nkafka = "k1:9092"\n')
    environment = {"GEOMON_HORIZON_H": "12", "GEOMON_SETTLE_S": "20"}
    settings, table = load({"settle_s": 30, "redis": None}, file=file, environment=environment)
    assert (settings.kafka, settings.horizon_h, settings.settle_s) == ("k1:9092", 12.0, 30)
    assert settings.redis == Settings().redis
    sources = {row.name: row.source for row in table}
    assert sources["kafka"] == str(file)
    assert sources["horizon_h"] == "environment"
    assert sources["settle_s"] == "flag"
    assert sources["redis"] == "default"


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "here.toml"
    file.write_text('city_extra = ["a.geojson", "b.geojson"]\n')
    settings, _ = load(environment={"GEOMON_CONFIG": str(file)})
    assert settings.city_extra == ["a.geojson", "b.geojson"]


def test_lists_in_the_environment_are_parted_by_commas() -> None:
    settings, _ = load(environment={"GEOMON_CITY_MINUS": "a.geojson,b.geojson"})
    assert settings.city_minus == ["a.geojson", "b.geojson"]


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"GEOMON_HORIZON_H": "long"}, "horizon_h"),
        ({"GEOMON_HORIZON_H": "nan"}, "at least 1"),
        ({"GEOMON_HORIZON_H": "0"}, "at least 1"),
        ({"GEOMON_SETTLE_S": "-1"}, "at least 0"),
        ({"GEOMON_CLOCK": "sundial"}, "one of wall, recording"),
        ({"GEOMON_CONFIG": "/nowhere/geomon.toml"}, "no settings file"),
    ],
)
def test_a_wrong_value_says_which_and_why(environment: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says) as error:
        load(environment=environment)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["horizont_h = 3", "horizon_h = ", "horizon_h = [3]"])
def test_a_wrong_file_says_so(tmp_path: Path, text: str) -> None:
    file = tmp_path / "geomon.toml"
    file.write_text(text)
    with pytest.raises(SettingsError):
        load(file=file, environment={})


def test_the_version_of_the_rules_changes_with_what_can_change_a_verdict() -> None:
    plain = rules_from(Settings()).version
    assert rules_from(Settings()).version == plain
    assert rules_from(Settings(redis="redis://elsewhere:6379/0")).version == plain
    assert rules_from(Settings(overdue_grace_min=30)).version != plain
    assert rules_from(Settings(horizon_h=12)).version != plain
