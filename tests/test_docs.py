"""The documentation says what the program does: nothing missing, nothing made up."""

from __future__ import annotations

import ast
import asyncio
import doctest
import importlib
import os
import re
import shlex
import stat
import subprocess
import sys
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from datetime import datetime, timezone
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import pytest
import redis
from click.testing import CliRunner

from geomon import alerts, events
from geomon.cases import recording_path
from geomon.cli import cli, main
from geomon.cloudevent import cloud_event
from geomon.core.episodes import Alert
from geomon.core.evidence import SOURCES
from geomon.core.person import Clue
from geomon.core.plans import LEVELS
from geomon.core.rules import Rules, Wanted
from geomon.core.severity import RANKS, escalated
from geomon.embedded.broker import EmbeddedBroker
from geomon.embedded.redis import EmbeddedRedis
from geomon.intake import Intake, Raw, Rejected
from geomon.operations import doctor, health
from geomon.operations.canary import CanaryNotes
from geomon.operations.metrics import METRICS
from geomon.rejections import rejection_record
from geomon.replay import Replay, open_recording, read_recording
from geomon.settings import Settings, load, rules_from
from geomon.sinks.redis import RedisSink
from geomon.sinks.restore import Restored
from geomon.topics import ALERTS, DEVICES, EVENTS, REJECTED, changelog_of, wanted
from geomon.zones.index import ZoneIndex

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(path for path in (ROOT / "geomon").rglob("*.py") if path.name != "__main__.py")
READMES = ("README.md", "README.zh.md")

Row = list[str]


class Section(NamedTuple):
    """A part of a page: its text, and its tables as rows of cells, headings left out."""

    text: str
    tables: list[list[Row]]

    def keyed(self, table: int = 0) -> dict[str, Row]:
        """Rows by the code in their first cell; a code that stands twice is a mistake."""
        rows = self.tables[table]
        keyed = {code(row[0]): row for row in rows}
        assert len(keyed) == len(rows), "a row stands twice"
        return keyed


def code(cell: str) -> str:
    """What a cell has between backticks; the cell itself when it has none."""
    found = re.search(r"`([^`]*)`", cell)
    return found[1] if found else cell


def sections(name: str) -> dict[str, Section]:
    """The sections of a page, by their headings without backticks."""
    page = (ROOT / name).read_text("utf-8")
    parts = re.split(r"^#{1,3} (.+)$", page, flags=re.MULTILINE)
    return {
        heading.replace("`", ""): Section(text, list(_tables(text)))
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def _tables(text: str) -> Iterator[list[Row]]:
    for is_table, group in groupby(text.splitlines(), lambda line: line.startswith("|")):
        if is_table:
            rows = [
                [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
                for line in group
            ]
            yield rows[2:]


REFERENCE = sections("docs/reference.md")


# -- commands ---------------------------------------------------------------------------------


def commands(group: click.Group = cli, path: str = "geomon") -> dict[str, click.Command]:
    """Every command that does something, by what is typed to call it."""
    found: dict[str, click.Command] = {}
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= commands(command, f"{path} {name}")
        else:
            arguments = [p for p in command.params if isinstance(p, click.Argument)]
            shown = "".join(f" {argument.make_metavar(context)}" for argument in arguments)
            found[f"{path} {name}{shown}"] = command
    return found


COMMANDS = commands()


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


def json_fields(command: str) -> list[str]:
    """What the reference says that each row of a command has in JSON."""
    section = next(REFERENCE[name] for name in COMMANDS if name.startswith(f"geomon {command[:9]}"))
    listed = re.search(r"JSON fields:(.*?)\. ?(?:\n\n| [A-Z])", section.text + "\n\n", re.DOTALL)
    assert listed
    return re.findall(r"`(\w+)`", listed[1])


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


def of_parts(command: str) -> Iterable[tuple[str, Row]]:
    """The second table of a command: what the objects inside its rows have."""
    section = next(REFERENCE[name] for name in COMMANDS if name.startswith(command))
    return section.keyed(1).items()


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


# -- settings and environment -----------------------------------------------------------------


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


# -- events and refusals ----------------------------------------------------------------------

EVENT_TYPES = {str(kind.__struct_config__.tag): kind for kind in typing.get_args(events.Event)}


def fields_of(struct: type[msgspec.Struct]) -> dict[str, bool]:
    """The fields of an event as they are written, and whether each is required."""
    return {f.encode_name: f.required for f in msgspec.structs.fields(struct)}


def test_every_field_of_every_event_is_in_the_reference() -> None:
    common = {field: "required" in row[1] for field, row in REFERENCE["Events in"].keyed().items()}
    assert common == {"type": True, "supervisee_id": True, "received": False}
    for kind, struct in EVENT_TYPES.items():
        tables = REFERENCE[kind].tables
        documented = {code(r[0]): "required" in r[1] for r in (tables[0] if tables else [])}
        of_its_own = {k: v for k, v in fields_of(struct).items() if k not in common}
        assert documented == of_its_own, kind
    for kind, table, struct in (
        ("upload", 1, events.Fix),
        ("zone", 1, events.Circle),
        ("zone", 2, events.Weekly),
    ):
        parts = {f: "required" in row[1] for f, row in REFERENCE[kind].keyed(table).items()}
        assert parts == fields_of(struct)


def test_no_event_is_in_the_reference_that_does_not_exist() -> None:
    headings = list(REFERENCE)
    between = headings[headings.index("Events in") + 1 : headings.index("Refusals")]
    assert set(between) == set(EVENT_TYPES)


def test_limits_of_events_are_those_of_the_reference() -> None:
    text = REFERENCE["Events in"].text
    assert f"{events.MAX_BYTES:,} bytes" in text
    assert f"{events.MAX_FIXES:,}\nfixes" in text
    accuracy = REFERENCE["upload"].keyed(1)["accuracy_m"][2]
    for source in SOURCES:
        assert f"{source.default_accuracy_m:,.0f} ({source.name})" in accuracy


def labelled(section: str) -> dict[str, tuple[str, ...]]:
    """A table of codes with their words in English and Chinese."""
    return {key: tuple(row[1:3]) for key, row in REFERENCE[section].keyed().items()}


def test_every_refusal_is_in_the_reference_with_its_words() -> None:
    assert labelled("Refusals") == dict(events.REASONS)


def test_every_field_of_a_refusal_is_in_the_reference() -> None:
    record = rejection_record(Rejected(Raw(b"{", "somewhere:1"), "broken_json", ""))
    assert list(REFERENCE["Refusals"].keyed(1)) == list(record)


# -- alerts -----------------------------------------------------------------------------------


def test_every_kind_is_in_the_reference_with_its_words() -> None:
    assert labelled("Kinds") == {k: (v.label_en, v.label_zh) for k, v in alerts.KINDS.items()}
    for kind, row in REFERENCE["Kinds"].keyed().items():
        assert row[5] == alerts.KINDS[kind].meaning
        assert ("(notice)" in row[0]) == alerts.KINDS[kind].notice
        assert re.split(r"[;:, ]", row[3])[0] in alerts.SEVERITIES


def test_how_far_age_lifts_a_kind_is_in_the_reference() -> None:
    ages = Rules(escalate_s=tuple(range(1, len(RANKS))))
    for kind, row in REFERENCE["Kinds"].keyed().items():
        begun = Wanted(kind, 1, 0, "", "", severity=RANKS[0])
        lifted = escalated(begun, 1_000, ages).severity
        assert row[4] == (lifted if lifted != RANKS[0] else ""), kind


@pytest.mark.parametrize(
    ("section", "table"),
    [
        ("Phases", alerts.PHASES),
        ("Severities", alerts.SEVERITIES),
        ("Reasons", alerts.REASONS),
        ("Measures", alerts.MEASURES),
        ("Grounds", alerts.GROUNDS),
    ],
)
def test_every_code_of_an_alert_is_in_the_reference(
    section: str, table: Mapping[str, tuple[str, str]]
) -> None:
    assert labelled(section) == dict(table)


def test_every_field_of_an_alert_is_in_the_reference(zones: ZoneIndex) -> None:
    clue = Clue(1, 114.0, 22.0, "wgs84", 10.0, "gnss", "phone", 1.0, 1.0, 114.0, 22.0, "441900")
    alert = Alert(
        *("opened", "SZ-1", "leave_city", 1, 0, 1, 1, "outside_without_leave", "high"),
        *(0.9, "441900", "", "440304", "", (clue,), 0),
        proposal=("admonition", "out_of_supervision", ("SZ-1/leave_city/1970-01-01T00:00:01Z",)),
    )
    event = cloud_event(alert, rules="r", zones=zones)
    page = REFERENCE["Alerts out"]
    assert list(page.keyed(0)) == list(event)
    assert list(page.keyed(1)) == list(event["data"])
    assert list(page.keyed(2)) == list(event["data"]["position"])
    assert list(page.keyed(3)) == list(event["data"]["evidence"][0])
    proposal = re.findall(r"`(\w+)`", page.keyed(1)["proposal"][1])
    assert proposal == list(event["data"]["proposal"])


def test_every_reason_of_an_update_exists() -> None:
    assert set(REFERENCE["Updates"].keyed()) <= set(alerts.REASONS)


def test_every_member_of_detail_is_in_the_reference(zones: ZoneIndex) -> None:
    """Of each kind what its alerts have, as recordings of everything that can happen show it."""
    seen: dict[str, set[str]] = {}
    replay = Replay(Intake(zones), rules_from(Settings()))
    for case in ("A", "B", "C"):
        with open_recording(str(recording_path(case))) as recording:
            told = list(replay.feed(read_recording(recording, case)))
        for alert in told:
            seen.setdefault(alert["data"]["kind"], set()).update(alert["data"]["detail"])
    for number, happened in enumerate(EVERYTHING):
        whose = f"SZ-{1000 + number}"
        lines = [msgspec.json.encode({"supervisee_id": whose, **event}) for event in happened]
        told = list(replay.feed(Raw(line, f"{whose}:{n}") for n, line in enumerate(lines)))
        assert told, happened
        for alert in told:
            seen.setdefault(alert["data"]["kind"], set()).update(alert["data"]["detail"])
    documented = {
        kind: {name for name in re.findall(r"`(\w+)`", row[1]) if name not in alerts.REASONS}
        for kind, row in REFERENCE["Detail"].keyed().items()
    }
    # A window's own members stand in brackets behind `windows`.
    documented["missed_check_in"] -= {"from", "until"}
    assert documented == seen


HOME, ELSEWHERE, DONGGUAN = (114.0545, 22.5445), (114.0845, 22.5745), (113.7437, 23.0227)
TERM = {"from": "2024-01-01T00:00:00+08:00", "until": "2024-12-31T24:00:00+08:00"}


def at(when: str) -> str:
    """Write a time of 2024-02-13, or of another day of that month: "15 09:00"."""
    day, time = when.split() if " " in when else ("13", when)
    return f"2024-02-{day}T{time}:00+08:00"


def event(kind: str, when: str, /, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "received": at(when), **fields}


def seen(
    when: str, where: tuple[float, float] = HOME, device: str = "phone", **more: Any
) -> dict[str, Any]:
    """Write an upload of one satellite position, 10 m good; `cell` and `mock` are the fix's."""
    source, accuracy_m = ("cell", 500) if more.pop("cell", False) else ("gnss", 10)
    fix = {"time": at(when), "lon": where[0], "lat": where[1], "source": source}
    fix |= {"accuracy_m": accuracy_m, "mock": more.pop("mock", None)}
    of = {"device": device, "device_id": device, "datum": "wgs84", "fixes": [fix]}
    return event("upload", when, **of, **more)


def heard(when: str, **more: Any) -> dict[str, Any]:
    return event("upload", when, device="phone", device_id="phone", fixes=[], **more)


ANNOUNCED = event("supervisee", "01 00:00", level="strict", **TERM)
ZONE = {"datum": "wgs84", **TERM}

#: What each kind of alert follows from, a person each.
EVERYTHING: list[list[dict[str, Any]]] = [
    [  # a battery that runs down, a phone without positions, silence, and a day's check-ins missed
        ANNOUNCED,
        seen("08:00", battery_pct=4),
        *[heard(f"{hour:02}:00", battery_pct=4) for hour in range(9, 13)],
        event("check_in", "14 23:30", device_id="phone", time=at("14 23:30"), verified=True),
    ],
    [  # a strap opened and closed, under an order that runs out
        ANNOUNCED,
        event("authorisation", "01 00:00", authorisation_id="A-1", ground=1, **TERM)
        | {"until": at("16 00:00")},
        seen("09:00", device="wristband", strap="open"),
        seen("09:10", device="wristband", strap="closed"),
    ],
    [seen("09:00", mock=True)],
    [seen("09:00"), seen("09:05", (117.0, 25.0)), seen("09:10", (117.0, 25.0001))],
    [seen(f"{9 + quarter // 4:02}:{quarter % 4 * 15:02}") for quarter in range(12)],
    [  # phone and wristband parted faster than anybody can, and stay apart
        *[seen("09:00", device=device) for device in ("phone", "wristband")],
        *[
            seen(f"09:{minute:02}", where, device)
            for minute in range(1, 60)
            for device, where in (("phone", (114.3, 22.7)), ("wristband", HOME))
        ],
    ],
    [  # satellites and cells that contradict each other
        upload
        for minute in ("00", "10", "20", "30", "40")
        for upload in (seen(f"09:{minute}"), seen(f"09:{minute[0]}5", (115.5, 24.0), cell=True))
    ],
    [  # inside a forbidden zone, away from the named place
        event("zone", "08:00", zone_id="Z-1", kind="exclusion", **ZONE)
        | {"circle": {"lon": HOME[0], "lat": HOME[1], "radius_m": 300}},
        event("zone", "08:00", zone_id="Z-2", kind="curfew", **ZONE)
        | {"circle": {"lon": ELSEWHERE[0], "lat": ELSEWHERE[1], "radius_m": 300}},
        *[seen(f"09:{minute:02}", device="wristband") for minute in range(0, 60, 5)],
    ],
    [  # a standing permit that runs out, a leave that the street may not approve, and strayed from
        ANNOUNCED,
        event("permit", "09:00", permit_id="S-1", kind="standing", destinations=["441900"], **TERM)
        | {"until": at("15 00:00")},
        event("permit", "09:00", permit_id="L-1", kind="leave", destinations=["410000"], **TERM)
        | {"from": at("15 00:00"), "approved_by": "street"},
        *[seen(f"{16 + hour // 24} {hour % 24:02}:00", DONGGUAN) for hour in range(48)],
    ],
]


def test_every_topic_is_in_the_reference() -> None:
    documented = set(REFERENCE["Kafka topics"].keyed())
    assert documented == {EVENTS, ALERTS, REJECTED, DEVICES, changelog_of("<app_id>")}


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


@pytest.fixture(scope="module")
def alerted_redis(zones: ZoneIndex) -> Iterator[tuple[str, set[str]]]:
    """A Redis that the alerts of case C were delivered to, and the channels they went through."""
    replay = Replay(Intake(zones), rules_from(Settings()))
    path = str(recording_path("C"))
    with open_recording(path) as recording:
        found = [*replay.feed(read_recording(recording, path)), *replay.finish()]

    async def deliver(url: str) -> None:
        sink, notes = RedisSink(url), CanaryNotes(url)
        try:
            await sink.deliver(found)
            now = datetime.now(timezone.utc)
            assert await notes.note([(3, now)], now.timestamp())
        finally:
            await sink.close()
            await notes.close()

    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
        with client.pubsub() as listener:
            listener.psubscribe("*")
            assert listener.get_message(timeout=5.0)  # that it listens
            asyncio.run(deliver(server.url))
            channels: set[str] = set()
            while len(channels) < 2 and (message := listener.get_message(timeout=5.0)):
                channels.add(message["channel"].decode())
        yield server.url, channels


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


# -- operations -------------------------------------------------------------------------------


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


# -- the READMEs ------------------------------------------------------------------------------


def blocks(name: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    page = (ROOT / name).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


def transcript(name: str) -> list[tuple[str, str]]:
    """The commands typed in a page's sessions, and what each is said to have printed."""
    parts = re.split(r"^\$ (.*)\n", "".join(blocks(name, "console")), flags=re.MULTILINE)
    assert not parts[0]
    return list(zip(parts[1::2], parts[2::2], strict=True))


def test_both_readmes_have_the_same_sections_and_the_same_sessions() -> None:
    levels = [
        [
            line.split()[0]
            for line in (ROOT / name).read_text("utf-8").splitlines()
            if line[:1] == "#"
        ]
        for name in READMES
    ]
    assert levels[0] == levels[1]
    assert transcript(READMES[0]) == transcript(READMES[1])
    shell = [
        [line.split("#")[0] for block in blocks(n, "sh") for line in block.splitlines()]
        for n in READMES
    ]
    assert [line.rstrip() for line in shell[0]] == [line.rstrip() for line in shell[1]]


def test_readme_is_no_longer_than_two_screens() -> None:
    for name in READMES:
        assert len((ROOT / name).read_text("utf-8").splitlines()) <= 100, name


def test_make_knows_what_the_readme_says_to_make() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for name in READMES:
        said = re.findall(r"\bmake (\w+)", " ".join([*blocks(name, "sh"), *inline(name)]))
        assert said
        assert set(said) <= targets


def inline(name: str) -> list[str]:
    """What stands between single backticks in a page."""
    page = re.sub(r"^```.*?^```$", "", (ROOT / name).read_text("utf-8"), flags=re.M | re.S)
    return re.findall(r"`([^`\n]+)`", page)


def geomon_lines(typed: Iterable[str]) -> list[list[str]]:
    """The calls of geomon in shell lines, as words, pipes and redirections taken apart."""
    parts = [part for line in typed for part in re.split(r"[|>]", line)]
    calls = [shlex.split(part)[1:] for part in parts if part.split()[:1] == ["geomon"]]
    # How to ask for help is said of no command in particular.
    return [words for words in calls if words[:1] not in (["COMMAND"], ["--version"])]


def find_command(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command or group that words call, and the words that are left for it."""
    command: click.Command = cli
    while words and isinstance(command, click.Group):
        inner = command.get_command(click.Context(command), words[0])
        assert inner is not None, words
        command, words = inner, words[1:]
    return command, words


@pytest.mark.parametrize("name", READMES)
def test_every_command_line_of_a_session_is_understood(name: str) -> None:
    calls = geomon_lines(command for command, _ in transcript(name))
    assert calls
    for words in calls:
        command, arguments = find_command(words)
        command.make_context(command.name, list(arguments))  # raises for what it does not take


@pytest.mark.parametrize("name", [*READMES, "DESIGN.md", "docs/reference.md"])
def test_every_command_mentioned_in_a_page_exists_with_its_options(name: str) -> None:
    for words in geomon_lines(inline(name)):
        command, arguments = find_command(words)
        options = {o for p in command.params for o in [*p.opts, *p.secondary_opts]}
        assert {word for word in arguments if word.startswith("-")} <= options, words


def test_the_session_of_the_readme_prints_what_it_shows(
    tmp_path: Path, alerted_redis: tuple[str, set[str]]
) -> None:
    """Typed into a shell, in order; `cat` shows a file that the reader is thought to have."""
    geomon = tmp_path / "bin" / "geomon"
    geomon.parent.mkdir()
    geomon.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m geomon "$@"\n')
    geomon.chmod(geomon.stat().st_mode | stat.S_IXUSR)
    environment = {
        **os.environ,
        "PATH": f"{geomon.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": "120",
        "GEOMON_REDIS": alerted_redis[0],
    }
    for command, shown in transcript("README.md"):
        words = command.split()
        if words[0] == "cat" and not (tmp_path / words[1]).exists():
            (tmp_path / words[1]).write_text(shown)
        done = subprocess.run(
            ["bash", "-c", command],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed = [line.rstrip() for line in done.stdout.splitlines()]
        assert printed == [line.rstrip() for line in shown.splitlines()], command


def test_design_has_the_numbers_of_the_evidence_model() -> None:
    table = sections("DESIGN.md")["Belief, not point-in-polygon"].keyed()
    assert list(table) == [source.name for source in SOURCES]
    for source in SOURCES:
        assert table[source.name][1:] == [
            f"{source.default_accuracy_m:,.0f} m",
            f"{source.stray_share:.0%}, {source.stray_scale_m:,.0f} m".replace("%", " %"),
            f"{source.gross_share:.0%}, {source.gross_scale_m:,.0f} m".replace("%", " %"),
            f"{source.anywhere_share:.1%}".replace("%", " %") if source.anywhere_share else "none",
            f"{source.correlation_s:,.0f} s",
        ]


@pytest.mark.parametrize("name", [*READMES, "DESIGN.md", "docs/reference.md"])
def test_links_between_pages_lead_somewhere(name: str) -> None:
    page = (ROOT / name).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)", page):
        assert target.startswith("https://") or (ROOT / name).parent.joinpath(target).exists(), (
            target
        )
    anchors = {heading.lower().replace(" ", "-") for heading in sections(name)}
    for anchor in re.findall(r"\]\(#([^)]+)\)", page):
        assert anchor in anchors, anchor


# -- the modules ------------------------------------------------------------------------------


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_examples_in_docstrings_are_true() -> None:
    for path in MODULES:
        if ">>>" in path.read_text("utf-8"):
            outcome = doctest.testmod(importlib.import_module(module_name(path)))
            assert outcome.failed == 0, path


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_all_of_a_module_is_sorted_and_true(path: Path) -> None:
    """Names in `__all__` exist and are sorted; what other modules take from it is in there."""
    tree = ast.parse(path.read_text("utf-8"))
    public = public_names(tree)
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    if public is None:
        assert not {name for name in defined if not name.startswith("_")}, "no __all__"
        return
    assert public == sorted(
        public, key=lambda n: (0 if n.isupper() else 1 if n[0].isupper() else 2, n)
    )
    assert len(set(public)) == len(public)
    assert set(public) <= defined | names_bound(tree)
    taken = {name for module, name in imports() if module == module_name(path)}
    assert (taken & defined) <= set(public), "taken by other modules but not public"


def public_names(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def names_bound(tree: ast.Module) -> set[str]:
    """Names that a module binds at its top level by assignment or import."""
    bound: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign):
            bound |= {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            bound.add(node.target.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name for alias in node.names}
    return bound


@cache
def imports() -> frozenset[tuple[str, str]]:
    """What the modules of the package import by name: (module, name)."""
    return frozenset(
        (node.module or "", alias.name)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    )
