"""Settings: file < environment < flags, and every mistake in one line."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from geomon.core.plans import LEVELS, Plan
from geomon.errors import SettingsError
from geomon.settings import Settings, WatchedSettings, load, rules_from


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
        ({"GEOMON_HORIZON_H": "nan"}, "horizon_h must be a finite number"),
        ({"GEOMON_HORIZON_H": "inf"}, "horizon_h must be a finite number"),
        ({"GEOMON_ESCALATE_AFTER_H": "4,inf"}, "escalate_after_h must be a finite number"),
        ({"GEOMON_UTC_OFFSET_H": "15"}, "utc_offset_h must be between -14 and 14"),
        ({"GEOMON_UTC_OFFSET_H": "-15"}, "utc_offset_h"),
        ({"GEOMON_HORIZON_H": "0"}, "at least 1"),
        ({"GEOMON_SETTLE_S": "-1"}, "at least 0"),
        ({"GEOMON_SESSION_TIMEOUT_S": "61"}, "at most 60 s"),
        ({"GEOMON_CLOCK": "sundial"}, "one of wall, recording"),
        ({"GEOMON_CONFIG": "/nowhere/geomon.toml"}, "no settings file"),
    ],
)
def test_a_wrong_value_says_which_and_why(environment: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says) as error:
        load(environment=environment)
    assert "\n" not in str(error.value)


NUMBERS = [f.name for f in dataclasses.fields(Settings) if "str" not in str(f.type)]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_without_measure_is_refused(name: str) -> None:
    """1e306 hours are more seconds than there is a number for; times and states end, too."""
    with pytest.raises(SettingsError, match=f"{name} must be at most .*") as error:
        load({name: 10**20}, environment={})
    assert "\n" not in str(error.value)


DEEP = "horizon_h = " + "[" * 20_000
LONG = "settle_s = 1" + "0" * 5_000


@pytest.mark.parametrize(
    "text", ["horizont_h = 3", "horizon_h = ", "horizon_h = [3]", "horizon_h = 1e306", DEEP, LONG]
)
def test_a_wrong_file_says_so(tmp_path: Path, text: str) -> None:
    file = tmp_path / "geomon.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as error:
        load(file=file, environment={})
    assert len(str(error.value)) < 300


def test_a_partition_is_not_silent_before_two_canaries_are_due() -> None:
    """With one every ten minutes and two minutes of patience a healthy worker fails for eight."""
    for every_s, patience_s in (("600", "120"), ("60", "119")):
        environment = {"GEOMON_CANARY_S": every_s, "GEOMON_CANARY_SILENCE_S": patience_s}
        with pytest.raises(SettingsError, match=r"canary_silence_s = .* must be at least twice"):
            load(environment=environment)
    assert load(environment={"GEOMON_CANARY_S": "60"})
    assert load(environment={"GEOMON_CANARY_S": "0", "GEOMON_CANARY_SILENCE_S": "1"})


# -- the plans: a value for each level ---------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ("15", [15.0, 15.0, 15.0]),
        ("30,15,5", [30.0, 15.0, 5.0]),
        ("0", [0.0, 0.0, 0.0]),
        ("2.5,2.5,1", [2.5, 2.5, 1.0]),
    ],
)
def test_a_plan_takes_one_value_for_all_levels_or_one_for_each(
    said: str, values: list[float], tmp_path: Path
) -> None:
    settings, _ = load(environment={"GEOMON_CURFEW_GRACE_MIN": said})
    assert settings.curfew_grace_min == values
    # In a file one value may be a number, and so may that of a flag.
    file = tmp_path / "geomon.toml"
    file.write_text(f"curfew_grace_min = {said if ',' not in said else f'[{said}]'}\n")
    assert load(file=file, environment={})[0].curfew_grace_min == values
    assert load({"curfew_grace_min": values}, environment={})[0].curfew_grace_min == values


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("30,15", "one value, or one for each of loose, normal, strict"),
        ("30,15,5,1", "one value, or one for each of loose, normal, strict"),
        ("", "one value, or one for each of loose, normal, strict"),
        ("30,-1,5", "at least 0 min"),
        ("30,nan,5", "must be a finite number"),
        ("30,inf,5", "must be a finite number"),
        ("30,soon,5", "curfew_grace_min"),
    ],
)
def test_a_plan_of_other_values_is_refused(said: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as error:
        load(environment={"GEOMON_CURFEW_GRACE_MIN": said})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"GEOMON_CHECK_INS": "1,2,2.5"}, "check_ins must be whole numbers"),
        ({"GEOMON_CHECK_IN_FROM_H": "23"}, "check_in_from_h must be before check_in_until_h"),
        ({"GEOMON_CHECK_IN_FROM_H": "7,7,22"}, "check_in_from_h must be before"),
        ({"GEOMON_CHECK_IN_UNTIL_H": "22,22,24.5"}, "at most 24"),
        ({"GEOMON_CHECK_IN_WINDOW_MIN": "0"}, "check_in_window_min must be at least 1 min"),
        ({"GEOMON_CHECK_IN_WINDOW_MIN": "180,90,0.5"}, "check_in_window_min must be at least 1"),
        ({"GEOMON_CHECK_INS": "1,2,100000"}, "check_ins of 100000 windows .* do not fit"),
        ({"GEOMON_CHECK_INS": "1e9"}, "do not fit between 7 and 22 h"),
        ({"GEOMON_CHECK_IN_FROM_H": "20"}, "check_ins of 1 windows .* = 180 min do not fit"),
    ],
)
def test_check_ins_that_no_day_has_room_for_are_refused(
    environment: dict[str, str], says: str
) -> None:
    with pytest.raises(SettingsError, match=says) as error:
        load(environment=environment)
    assert "\n" not in str(error.value)
    assert load(environment={"GEOMON_CHECK_IN_UNTIL_H": "24", "GEOMON_CHECK_IN_FROM_H": "0"})
    assert load(environment={"GEOMON_CHECK_INS": "15", "GEOMON_CHECK_IN_WINDOW_MIN": "60"})
    assert load(environment={"GEOMON_CHECK_INS": "0", "GEOMON_CHECK_IN_FROM_H": "21"})


@pytest.mark.parametrize(
    ("name", "unit_s", "field", "device"),
    [
        ("phone_report_min", 60, "report_s", 0),
        ("band_report_min", 60, "report_s", 1),
        ("phone_silence_min", 60, "silence_s", 0),
        ("band_silence_min", 60, "silence_s", 1),
        ("phone_no_fix_min", 60, "no_fix_s", 0),
        ("band_no_fix_min", 60, "no_fix_s", 1),
        ("phone_battery_pct", 1, "battery_pct", 0),
        ("band_battery_pct", 1, "battery_pct", 1),
        ("apart_m", 1, "apart_m", None),
        ("apart_min", 60, "apart_s", None),
        ("check_ins", 1, "check_ins", None),
        ("check_in_window_min", 60, "check_in_window_s", None),
        ("check_in_grace_min", 60, "check_in_grace_s", None),
        ("check_in_from_h", 3600, "check_in_from_s", None),
        ("check_in_until_h", 3600, "check_in_until_s", None),
        ("curfew_grace_min", 60, "curfew_grace_s", None),
        ("overdue_grace_min", 60, "overdue_grace_s", None),
        ("out_of_supervision_h", 3600, "out_of_supervision_s", None),
        ("ask_interval_s", 1, "ask_interval_s", None),
        ("ask_for_min", 60, "ask_for_s", None),
        ("asks_a_day", 1, "asks", None),
    ],
)
def test_each_level_gets_its_own_value_and_no_other_is_touched(
    name: str, unit_s: int, field: str, device: int | None
) -> None:
    def value(plan: Plan) -> float:
        found = getattr(plan, field)
        return float(found if device is None else found[device])

    def others(plan: Plan) -> dict[str, Any]:
        kept = {f: getattr(plan, f) for f in plan.__struct_fields__ if f != field}
        if device is not None:
            kept[field] = getattr(plan, field)[1 - device]
        return kept

    changed: dict[str, Any] = {name: [3.0, 2.0, 1.0]}
    plans = rules_from(Settings(**changed)).plans
    assert [value(plan) for plan in plans] == [3 * unit_s, 2 * unit_s, unit_s]
    assert [others(p) for p in plans] == [others(p) for p in rules_from(Settings()).plans]


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"GEOMON_ASK_INTERVAL_S": "0.5"}, "ask_interval_s must be whole numbers"),
        ({"GEOMON_ASK_INTERVAL_S": "0,60,3601"}, "ask_interval_s must be at most 3600 s"),
        ({"GEOMON_ASKS_A_DAY": "1.5"}, "asks_a_day must be whole numbers"),
    ],
)
def test_intervals_that_nobody_can_be_asked_for_are_refused(
    environment: dict[str, str], says: str
) -> None:
    with pytest.raises(SettingsError, match=says) as error:
        load(environment=environment)
    assert "\n" not in str(error.value)


def test_every_setting_of_the_plans_is_one_of_these() -> None:
    levels = {f.name for f in dataclasses.fields(Settings) if f.metadata["levels"]}
    [marks] = [
        mark
        for mark in test_each_level_gets_its_own_value_and_no_other_is_touched.pytestmark  # type: ignore[attr-defined]
        if mark.name == "parametrize"
    ]
    assert {row[0] for row in marks.args[1]} == levels
    assert {row[2] for row in marks.args[1]} == set(Plan.__struct_fields__)


def test_a_plan_is_the_closer_the_stricter_the_level() -> None:
    loose, normal, strict = rules_from(Settings()).plans
    assert LEVELS == ("loose", "normal", "strict")
    for field in Plan.__struct_fields__:
        values = [getattr(plan, field) for plan in (loose, normal, strict)]
        pairs = values if isinstance(values[0], tuple) else [(value,) for value in values]
        for of_device in zip(*pairs, strict=True):
            # More check-ins, and a battery that counts as low earlier; of the rest, less.
            rising = field in {"check_ins", "battery_pct"}
            assert list(of_device) == sorted(of_device, reverse=not rising), field


def test_ages_in_any_order_and_days_and_offsets_become_seconds() -> None:
    rules = rules_from(
        Settings(escalate_after_h=[72.0, 0.5, 24.0], notice_days=1.5, utc_offset_h=-3.5)
    )
    assert rules.escalate_s == (1_800, 86_400, 259_200)
    assert rules.notice_s == 129_600
    assert rules.utc_offset_s == -12_600
    assert rules_from(Settings(escalate_after_h=[])).escalate_s == ()


def test_the_seed_of_check_ins_may_be_any_text() -> None:
    settings, _ = load(environment={"GEOMON_CHECK_IN_SEED": "a secret, of ours"})
    assert rules_from(settings).check_in_seed == "a secret, of ours"


# -- a file that changes -----------------------------------------------------------------------


def test_a_settings_file_is_read_again_when_it_has_changed_and_only_then(tmp_path: Path) -> None:
    file = tmp_path / "geomon.toml"
    file.write_text("horizon_h = 6\nsettle_s = 10\n")
    environment = {"GEOMON_APP_ID": "mine"}
    watched = WatchedSettings({"settle_s": 30}, file=file, environment=environment)
    assert (watched.settings.horizon_h, watched.settings.settle_s) == (6.0, 30)
    assert looked_twice(watched) is None
    file.write_text('horizon_h = 12.5\nsettle_s = 10\napp_id = "other"\n')
    changed = looked_twice(watched)
    assert changed is not None
    assert changed is watched.settings
    # What stands over the file stays over it.
    assert (changed.horizon_h, changed.settle_s, changed.app_id) == (12.5, 30, "mine")
    assert looked_twice(watched) is None


def test_a_mistake_in_a_changed_file_is_said_once_and_the_settings_stay(tmp_path: Path) -> None:
    file = tmp_path / "geomon.toml"
    file.write_text("horizon_h = 6\n")
    watched = WatchedSettings(file=file, environment={})
    for mistake in ("horizon_h = soon\n", "check_in_from_h = 23.5\n"):
        file.write_text(mistake)
        with pytest.raises(SettingsError):
            looked_twice(watched)
        assert looked_twice(watched) is None
        assert watched.settings.horizon_h == 6.0
    file.unlink()
    with pytest.raises(SettingsError, match=r"geomon\.toml is gone"):
        looked_twice(watched)
    file.write_text("horizon_h = 7\n")
    changed = looked_twice(watched)
    assert changed is not None
    assert changed.horizon_h == 7.0


def test_a_file_is_taken_when_two_looks_find_the_same(tmp_path: Path) -> None:
    """`cp` empties a file and fills it bit by bit; half of it sets something else."""
    file = tmp_path / "geomon.toml"
    file.write_text("phone_silence_min = 100\n")
    watched = WatchedSettings(file=file, environment={})
    for written in ("", "settle_s = 45\n", "settle_s = 45\nphone_silence_min = 1"):
        file.write_text(written)
        assert watched.again() is None
    file.write_text("settle_s = 45\nphone_silence_min = 1000\n")
    assert watched.again() is None
    assert watched.settings.phone_silence_min == [100.0] * 3
    changed = watched.again()
    assert changed is not None
    assert changed.phone_silence_min == [1000.0] * 3


@pytest.mark.parametrize("named", [True, False])
def test_a_file_that_had_content_is_not_empty_or_gone(
    named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would set nothing: everybody under the default plans, and another seed."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "geomon.toml"
    file.write_text("phone_silence_min = 100\n")
    watched = WatchedSettings(file=file if named else None, environment={})
    file.write_text("\n")
    with pytest.raises(SettingsError, match=r"geomon\.toml is empty"):
        looked_twice(watched)
    assert looked_twice(watched) is None, "said once"
    file.unlink()
    with pytest.raises(SettingsError, match=r"geomon\.toml is gone"):
        looked_twice(watched)
    assert watched.settings.phone_silence_min == [100.0] * 3
    file.write_text("# the defaults\n")
    defaults = looked_twice(watched)
    assert defaults is not None
    assert defaults.phone_silence_min == Settings().phone_silence_min


def test_a_file_may_be_empty_at_the_start_and_appear_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "geomon.toml"
    watched = WatchedSettings(environment={})
    file.write_text("")
    assert looked_twice(watched) == Settings()
    file.write_text("settle_s = 10\n")
    changed = looked_twice(watched)
    assert changed is not None
    assert changed.settle_s == 10


def looked_twice(watched: WatchedSettings) -> Settings | None:
    """What the second of two looks brings; the first finds what changed, and waits for it."""
    assert watched.again() is None
    return watched.again()


# -- the version -------------------------------------------------------------------------------

#: Settings of where things are and how they run: none of them can change a verdict.
HOUSEKEEPING = {
    *("city", "city_extra", "city_minus", "kafka", "redis", "app_id", "data_dir"),
    *("clock", "clock_slack_s", "batch_most", "checkpoint_s", "drain", "session_timeout_s"),
    *("partitions", "replication", "events_retention_h", "alerts_retention_days"),
    "rejected_retention_days",
    *("web", "ready_lag", "canary_s", "canary_silence_s", "clock_skew_s", "log_format"),
}


def other(value: Any) -> Any:
    """A value that a setting does not have by default."""
    if isinstance(value, list):
        return [v + 1 if isinstance(v, float) else f"{v}x" for v in value] or ["other"]
    return f"{value}x" if isinstance(value, str) else value + 1


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Settings)])
def test_the_version_of_the_rules_changes_with_what_can_change_a_verdict(name: str) -> None:
    plain = rules_from(Settings())
    assert rules_from(Settings()).version == plain.version
    changed: dict[str, Any] = {name: other(getattr(Settings(), name))}
    same = rules_from(Settings(**changed)).version == plain.version
    assert same == (name in HOUSEKEEPING or name.startswith("gateway_"))


def test_the_version_tells_which_way_of_judging_it_was() -> None:
    way, _, digest = rules_from(Settings()).version.partition("-")
    assert way.isdigit()
    assert len(digest) == 8
