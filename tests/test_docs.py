"""The reference says what the program does: nothing missing, nothing made up."""

from __future__ import annotations

import re
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
import redis
from click.testing import CliRunner
from pages import COMMANDS, MODULES, REFERENCE, ROOT, blocks, code, json_fields, of_parts

from geomon.cases import recording_path
from geomon.cli import cli, main
from geomon.core.plans import LEVELS
from geomon.embedded.broker import EmbeddedBroker
from geomon.intake import Intake
from geomon.operations import doctor, health
from geomon.operations.metrics import METRICS
from geomon.replay import Replay, open_recording, read_recording
from geomon.settings import Settings, load, rules_from
from geomon.sinks.restore import Restored
from geomon.topics import ALERTS, DEVICES, EVENTS, REJECTED, changelog_of, wanted
from geomon.topics import COMMANDS as TO_DEVICES
from geomon.zones.index import ZoneIndex


def test_every_command_is_in_the_reference_and_no_other() -> None:
    documented = {heading for heading in REFERENCE if heading.startswith("geomon ")}
    assert documented == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_in_the_reference(name: str) -> None:
    """Its name, whether it may be repeated, its default, and what may be chosen."""
    command = COMMANDS[name]
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert command.help, "no help"
    rows = {code(row[0]).split()[0]: row for row in REFERENCE[name].tables[0]}
    assert set(rows) == {"/".join([*o.opts, *o.secondary_opts]) for o in options}
    for option in options:
        row = rows["/".join([*option.opts, *option.secondary_opts])]
        assert ("×" in row[0]) == option.multiple, option.opts
        assert row[1].strip("`") == default_of(option), option.opts
        if isinstance(option.type, click.Choice):
            for choice in option.type.choices:
                assert f"`{choice}`" in "".join(row[1:]), f"{option.opts} {choice}"


def default_of(option: click.Option) -> str:
    """An option's default as the reference writes it; empty when it has none."""
    if option.required:
        return "required"
    default = option.to_info_dict()["default"]
    if option.is_flag:
        both = [*option.opts, *option.secondary_opts]
        return both[0 if default else 1] if option.secondary_opts and default is not None else ""
    return "" if default in (None, "", ()) else str(default)


@pytest.mark.parametrize("arguments", ["config show --json", "zones where --json 114.0545,22.5445"])
def test_every_field_of_json_rows_is_in_the_reference(arguments: str) -> None:
    done = CliRunner().invoke(cli, arguments.split())
    assert done.exit_code == 0, done.output
    assert json_fields(arguments) == list(msgspec.json.decode(done.output.splitlines()[0]))


def test_every_field_of_a_report_is_in_the_reference(zones: ZoneIndex, tmp_path: Path) -> None:
    replay = Replay(Intake(zones), rules_from(Settings()))
    with open_recording(str(recording_path("C"))) as recording:
        told = list(replay.feed(read_recording(recording, "C")))
    log = tmp_path / "alerts.ndjson"
    log.write_bytes(b"\n".join(msgspec.json.encode(alert) for alert in told))
    until = ["--until", "2024-02-13T12:00:00+08:00"]  # the person is still outside
    done = CliRunner().invoke(cli, ["report", "--json", *until, str(log)])
    assert done.exit_code == 0, done.output
    row = msgspec.json.decode(next(line for line in done.output.splitlines() if line[:1] == "{"))
    assert json_fields("report") == list(row)
    parts = {key: re.findall(r"`(\w+)`", cells[1]) for key, cells in of_parts("geomon report")}
    assert parts["breaches.<category>"] == list(row["breaches"]["left_without_leave"][0])
    assert parts["delays.<kind>"] == list(row["delays"]["leave_city"])
    assert parts["open_cases"] == list(row["open_cases"][0])


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["zones", "where", "114.0545,22.5445"], "0"),
        (["zones", "where", "nowhere"], "1"),
        (["no-such-command"], "2"),
    ],
)
def test_exit_codes_are_those_of_the_reference(
    arguments: list[str], exit_code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exit_code in REFERENCE["Exit codes"].keyed()
    monkeypatch.setattr(sys, "argv", ["geomon", *arguments])
    try:
        main()
        left = 0
    except SystemExit as end:
        left = int(end.code or 0)
    assert str(left) == exit_code


def test_every_setting_is_in_the_reference_with_default_unit_and_meaning() -> None:
    def written(value: Any) -> str:
        return ",".join(map(str, value)) if isinstance(value, list) else str(value)

    standard = Settings()
    wanted = [
        [f.name, written(getattr(standard, f.name)), f.metadata["unit"], f.metadata["meaning"]]
        for f in fields(Settings)
    ]
    assert [[cell.strip("`") for cell in row] for row in REFERENCE["Settings"].tables[0]] == wanted


def test_every_setting_of_a_plan_is_explained() -> None:
    plans = {f.name for f in fields(Settings) if f.metadata["levels"]}
    named = set(re.findall(r"`(\w+)`", REFERENCE["Plans"].text))
    assert plans <= named
    assert {name for name in named if name.endswith(("_min", "_m", "_h", "_pct"))} <= plans


def test_the_settings_from_the_horizon_on_are_those_that_make_the_rules() -> None:
    """Which is what the reference says of changing them while a worker runs."""
    standard, names = Settings(), [f.name for f in fields(Settings)]
    for name in names:
        value: Any = getattr(standard, name)
        other: Any = [1.0, 1.0, 1.0] if isinstance(value, list) else value * 2
        version = rules_from(replace(standard, **{name: other})).version
        judges = names.index(name) >= names.index("horizon_h")
        assert (version != rules_from(standard).version) == judges, name


def test_the_settings_file_of_the_reference_can_be_read(tmp_path: Path) -> None:
    (example,) = blocks("docs/reference.md", "toml")
    file = tmp_path / "geomon.toml"
    file.write_text(example)
    in_environment = re.findall(r"`(GEOMON_\w+)=(\S+)`", REFERENCE["Settings"].text)
    assert in_environment
    settings, table = load(file=file, environment=dict(in_environment))
    assert settings.apart_m == [800.0] * len(LEVELS)
    assert {row.name for row in table if row.source == "environment"} == {
        name.removeprefix("GEOMON_").lower() for name, _ in in_environment
    }


def test_every_environment_variable_is_in_the_reference() -> None:
    used: set[str] = set()
    for path in [*MODULES, *(ROOT / "tests").rglob("*.py")]:
        if path != Path(__file__).resolve():
            used |= set(re.findall(r"GEOMON_[A-Z_]*[A-Z]", path.read_text("utf-8")))
    settings = {f"GEOMON_{f.name.upper()}" for f in fields(Settings)}
    documented = set(REFERENCE["Environment"].keyed())
    assert documented == (used - settings) | {"GEOMON_<SETTING>"}


def test_every_topic_is_in_the_reference() -> None:
    documented = set(REFERENCE["Kafka topics"].keyed())
    own = {EVENTS, ALERTS, TO_DEVICES, REJECTED, DEVICES}
    assert documented == own | {changelog_of("<app_id>")}


def test_every_configuration_of_every_topic_is_in_the_reference() -> None:
    forms = wanted(Settings())
    rows = REFERENCE["Kafka topics"].keyed(1)
    assert rows.pop("partitions")[1:5] == [str(form.partitions) for form in forms]
    assert rows.pop("replication")[1:5] == [str(form.replication) for form in forms]
    of_all = {what for form in forms for what in form.config}
    assert {what: [cell.strip("`") for cell in row[1:5]] for what, row in rows.items()} == {
        what: [form.config.get(what, "") for form in forms] for what in of_all
    }
    assert all(row[5] for row in rows.values()), "no reason"


def test_every_field_of_the_comparison_of_topics_is_in_the_reference() -> None:
    topics = dict.fromkeys((form.name for form in wanted(Settings())), 12)
    with EmbeddedBroker(topics) as broker:
        words = ["topics", "check", "--json", "--kafka", broker.bootstrap]
        done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    rows = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert [row["topic"] for row in rows] == list(topics)
    assert all(json_fields("topics check") == list(row) for row in rows)


def test_every_key_and_channel_in_redis_is_in_the_reference(
    alerted_redis: tuple[str, set[str]],
) -> None:
    url, channels = alerted_redis
    section = REFERENCE["Redis"]
    with redis.Redis.from_url(url) as client:
        keys: Any = client.keys("*")
        found = {key.decode() for key in keys}
        log: Any = client.xrange("geomon:alerts:log", count=1)
        # The hash of what is open is gone once nothing is.
        always = {
            k.replace("<supervisee_id>", "SZ-0003").replace("<partition>", "3")
            for k in section.keyed()
        }
        canary: Any = client.get("geomon:canary:3")
        assert all(f'"{name}"' in section.text for name in msgspec.json.decode(canary))
        assert found == always - {"geomon:open:SZ-0003"}
        assert all(f"`{name.decode()}`" in section.text for name in log[0][1])
    assert channels == {c.replace("<district>", "440303") for c in section.keyed(1)}


def test_every_metric_is_in_the_reference_and_no_other() -> None:
    documented = {
        name: [row[1], re.findall(r"`(\w+)`", row[2]), row[3]]
        for name, row in REFERENCE["Metrics"].keyed().items()
    }
    assert documented == {name: [m.kind, list(m.labels), m.help] for name, m in METRICS.items()}
    mentioned = set(
        re.findall(r"\bgeomon_[a-z_]+", (ROOT / "docs/reference.md").read_text("utf-8"))
    )
    # Those of a gateway are looked after in gateway/test_gateway_reference.py.
    assert {name for name in mentioned if not name.startswith("geomon_gateway_")} == set(METRICS)


def test_every_check_of_readiness_and_of_the_doctor_is_in_the_reference() -> None:
    for section, table, checks in (
        ("Health", 0, health.CHECKS),
        ("geomon doctor", 1, doctor.CHECKS),
    ):
        rows = REFERENCE[section].keyed(table)
        assert {name: row[1] for name, row in rows.items()} == checks
        assert list(rows) == list(checks)


def test_every_field_of_the_doctor_is_in_the_reference() -> None:
    assert json_fields("doctor") == list(doctor.Finding._fields)


def test_every_field_of_what_was_restored_is_in_the_reference() -> None:
    assert json_fields("restore") == [field.name for field in fields(Restored)]
