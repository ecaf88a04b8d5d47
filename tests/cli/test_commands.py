"""The commands as a person calls them: in a process of their own, on the real command line."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from everykind import BAD, everything
from rich.cells import cell_len

from geomon.alerts import KINDS, REASONS
from geomon.cases import recording_path
from geomon.core.episodes import OF_CITY
from geomon.embedded.house import embedded_parts
from geomon.settings import Settings

CASE_A = str(recording_path("A"))
CASE_C = str(recording_path("C"))


def geomon(
    *words: str, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "geomon", *words],
        input=stdin,
        capture_output=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )


def json_lines(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_replay_shows_requests_to_devices_when_it_is_asked_to(tmp_path: Path) -> None:
    """One position a little across the river, and nothing after it."""
    track = tmp_path / "day.csv"
    track.write_text(
        "time,lon,lat,accuracy\n"
        "2024-02-13T08:00+08:00,114.0545,22.5445,12\n"
        "2024-02-13T08:30+08:00,114.0545,22.5445,12\n"
        "2024-02-13T09:00+08:00,114.079,22.5165,12\n"
    )
    words = ["--person", "SZ-0009", "--datum", "wgs84", "--accuracy-column", "accuracy"]
    events = geomon("convert", str(track), *words, "--source", "gnss").stdout
    plain, with_them = (
        json_lines(
            geomon("replay", "--json", *flags, "-", stdin=events, GEOMON_ASK_INTERVAL_S="60").stdout
        )
        for flags in ([], ["--commands"])
    )
    assert plain == []
    assert [e["id"] for e in with_them] == ["SZ-0009/report/phone/2024-02-13T01:00:00Z"]
    done = geomon("replay", "--commands", "-", stdin=events, GEOMON_ASK_INTERVAL_S="60")
    assert done.returncode == 0
    assert done.stdout.decode().count("phone every 60 s 加密上报") == 1
    assert "asked to report more often (turning): 1" in done.stderr.decode()


def test_replay_prints_alerts_as_json_lines_and_talks_on_stderr() -> None:
    done = geomon("replay", "--json", CASE_A)
    assert done.returncode == 0
    alerts = json_lines(done.stdout)
    absence = [alert["data"] for alert in alerts if alert["data"]["kind"] in OF_CITY]
    # Between them the absence grows graver with age, and another measure may be proposed.
    assert [data["phase"] for data in absence] == ["opened", "updated", "updated", "closed"]
    # The phone dies once and is switched off over a check-in: see tests/cases/test_causes.py.
    others = {alert["data"]["kind"] for alert in alerts} - OF_CITY
    assert others == {"low_battery", "missed_check_in"}
    assert {alert["specversion"] for alert in alerts} == {"1.0"}
    lines = gzip.decompress(recording_path("A").read_bytes()).count(b"\n")
    assert f"{lines:,} events" in done.stderr.decode()


def test_replay_prints_a_table_for_people() -> None:
    done = geomon("replay", CASE_A)
    first, *lines = done.stdout.decode().splitlines()
    assert first.split()[:3] == ["time", "+08:00", "severity"]
    absence = [line for line in lines if "违规离深" in line]
    assert [line.split()[3] for line in absence] == ["opened", "updated", "updated", "closed"]
    assert len(lines) == len(json_lines(geomon("replay", "--json", CASE_A).stdout))
    # What is told, and how often, is counted at the end.
    talk = done.stderr.decode()
    assert "leave_city opened: 1\n" in talk
    assert "leave_city updated: 2\n" in talk
    assert "missed_check_in opened: 1\n" in talk


def test_replay_has_a_line_with_chinese_labels_for_every_kind() -> None:
    stdin = b"\n".join(line.data for line in everything())
    done = geomon("replay", "-", stdin=stdin)
    assert done.returncode == 0
    heading, *lines = done.stdout.decode().splitlines()
    begin, end = heading.index("kind"), heading.index("person")
    told = set()
    for line in lines:
        kind, label_zh = line.split()[4:6]
        assert KINDS[kind].label_zh == label_zh
        reason, label = line.split("  ")[-1].strip().split(" ", 1)
        assert REASONS[reason][1] == label
        # A Chinese character takes two cells, so columns line up by cells and not by characters.
        assert cell_len(line[: line.index("SZ-01")]) == end
        assert cell_len(line[: line.index(kind)]) == begin
        told.add(kind)
    assert told == set(KINDS)
    assert "refused life:" not in done.stderr.decode()
    assert "refused: 1" in done.stderr.decode()  # the position that the phone says is faked


def test_replay_tells_the_reason_of_every_refusal() -> None:
    stdin = b"\n".join(json.dumps(event).encode() for event, _ in BAD)
    done = geomon("replay", "-", stdin=stdin)
    assert done.returncode == 0
    talk = done.stderr.decode()
    for number, (_, reason) in enumerate(BAD, 1):
        assert re.search(rf"^refused -:{number}( fix 0)?: {reason}\b", talk, re.MULTILINE), reason
    assert f"refused: {len(BAD)}\n" in talk


def test_replay_judges_by_the_settings_it_is_given(tmp_path: Path) -> None:
    """A wristband that is silent for ten minutes: lost contact, where the settings say so."""
    event = {
        "type": "upload",
        "supervisee_id": "SZ-7",
        "device_id": "band-7",
        "device": "wristband",
        "battery_pct": 80,
        "fixes": [],
    }
    stdin = b"".join(
        json.dumps(event | {"received": f"2024-02-13T09:{minute}:00+08:00"}).encode() + b"\n"
        for minute in ("00", "10")
    )
    until = ("--until", "2024-02-13T09:15:00+08:00")
    assert geomon("replay", "--json", *until, "-", stdin=stdin).stdout == b""
    file = tmp_path / "geomon.toml"
    file.write_text("band_silence_min = [60, 5, 5]\n")
    done = geomon("replay", "--json", *until, "--config", str(file), "-", stdin=stdin)
    first, second, third = json_lines(done.stdout)
    assert [a["id"] for a in (first, second, third)] == [
        "SZ-7/lost_contact/2024-02-13T01:00:00Z#1",
        "SZ-7/lost_contact/2024-02-13T01:00:00Z#2",
        "SZ-7/lost_contact/2024-02-13T01:10:00Z#1",
    ]
    assert first["time"] == "2024-02-13T01:05:00Z"
    assert third["data"]["rules"] == first["data"]["rules"]
    environment = geomon(
        *("replay", "--json", *until, "-"), stdin=stdin, GEOMON_BAND_SILENCE_MIN="60,5,5"
    )
    assert environment.stdout == done.stdout


def test_replay_reads_standard_input_and_lets_the_clock_run_on() -> None:
    events = [
        {
            "type": "permit",
            "supervisee_id": "SZ-7",
            "permit_id": "L-1",
            "kind": "leave",
            "from": "2024-02-03T00:00:00+08:00",
            "until": "2024-02-09T24:00:00+08:00",
            "destinations": ["410000"],
            "received": "2024-02-01T10:00:00+08:00",
        },
    ]
    stdin = "\n".join(json.dumps(event) for event in events).encode()
    assert geomon("replay", "--json", "-", stdin=stdin).stdout == b""
    late = geomon("replay", "--json", "--until", "2024-02-11T00:00:00+08:00", "-", stdin=stdin)
    # Nobody has announced this person or heard from a device: only the leave's end is known, and
    # that it grows graver with age.
    opened, graver, graver_yet = json_lines(late.stdout)
    assert opened["id"] == "SZ-7/overdue_return/2024-02-09T16:00:00Z#1"
    assert opened["time"] == "2024-02-09T17:00:00Z"
    assert [(a["data"]["reason"], a["time"]) for a in (graver, graver_yet)] == [
        ("still_open", "2024-02-09T20:00:00Z"),
        ("still_open", "2024-02-10T16:00:00Z"),
    ]


def test_replay_tells_each_refusal_in_a_line_and_goes_on() -> None:
    good = b'{"type":"clock","supervisee_id":"SZ-1","received":"2024-02-13T09:00:00Z"}\n'
    done = geomon("replay", "-", stdin=b"{\n" + good + b'\n{"type":"x"}\n')
    assert done.returncode == 0
    talk = done.stderr.decode()
    assert "refused -:1: broken_json" in talk
    assert "refused -:4: unknown_type" in talk
    assert "refused: 2" in talk
    assert "Traceback" not in talk


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["replay", "/nowhere/x.ndjson"], 1, "/nowhere/x.ndjson: No such file"),
        (["replay"], 2, "Missing argument"),
        (["replay", "--until", "soon", CASE_A], 2, "bad_time"),
        (["replay", "--speed", "0", CASE_A], 2, "--speed"),
        (["replay", "--city", "999999", CASE_A], 1, "geomon zones build --adcode 999999"),
        (["replay", "--kafka", "127.0.0.1:1", CASE_A], 1, "127.0.0.1:1"),
        (["worker", "--kafka", "127.0.0.1:1"], 1, "127.0.0.1:1"),
        (["watch", "--redis", "redis://127.0.0.1:1", "--no-follow"], 1, "127.0.0.1:1"),
        (["watch", "--redis", "redis://127.0.0.1:1?foo=x"], 1, "'foo'"),
        (["report", "--redis", "redis://127.0.0.1:1?foo=x"], 1, "'foo'"),
        (["config", "show", "--config", "/nowhere.toml"], 1, "/nowhere.toml"),
        (["config", "show", "--config", "x" * 300], 1, "xxx: File name too long"),
        (["dev", "redis", "--data", "/proc/x"], 1, "/proc/x: No such file"),
        (["dossier", "\udcff", CASE_A], 2, "is not UTF-8"),
        (["explain", CASE_A, "--person", "\udcff"], 2, "is not UTF-8"),
        (["explain", CASE_A, "--episode", "\udcff/leave_city/x"], 2, "is not UTF-8"),
        (["fly"], 2, "No such command"),
        (["replay", "--fly", CASE_A], 2, "No such option"),
    ],
)
def test_a_mistake_is_said_clearly(words: list[str], code: int, says: str) -> None:
    done = geomon(*words)
    talk = done.stderr.decode()
    assert done.returncode == code, talk
    assert says in talk
    assert "Traceback" not in talk
    if code == 1:
        assert len(talk.strip().splitlines()) == 1
        assert talk.startswith("geomon: ")


def test_a_packed_file_that_breaks_off_is_said_after_what_could_be_read(tmp_path: Path) -> None:
    broken = tmp_path / "a.ndjson.gz"
    broken.write_bytes(recording_path("A").read_bytes()[:-5_000])
    done = geomon("replay", str(broken))
    assert done.returncode == 1
    assert "违规离深" in done.stdout.decode()
    assert "a.ndjson.gz" in done.stderr.decode().splitlines()[-1]
    assert b"Traceback" not in done.stderr


def test_the_end_of_a_pipe_is_no_failure() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "geomon", "convert", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


def test_config_show_tells_value_unit_and_source() -> None:
    done = geomon("config", "show", "--json", GEOMON_HORIZON_H="12")
    rows = {row["name"]: row for row in json_lines(done.stdout)}
    assert rows["horizon_h"]["value"] == 12.0
    assert rows["horizon_h"]["unit"] == "h"
    assert rows["horizon_h"]["from"] == "environment"
    assert rows["kafka"]["from"] == "default"
    assert rows["curfew_grace_min"]["value"] == [30.0, 15.0, 5.0]
    assert rows["curfew_grace_min"]["unit"] == "min"


def test_a_variable_that_is_no_setting_is_told_and_harms_nothing() -> None:
    """A misspelt threshold would otherwise be the default, and nobody would know."""
    found: dict[str, Any] = {
        "EVIDENCE_NAT": "3",
        "REDIS_URL": "redis://redis",
        "TEST_DATA": "tracks",
        # As container engines have it of a service called geomon-redis.
        "REDIS_SERVICE_HOST": "10.0.0.7",
        "REDIS_PORT": "tcp://10.0.0.7:6379",
        "REDIS_PORT_6379_TCP_ADDR": "10.0.0.7",
    }
    variables = {f"GEOMON_{name}": value for name, value in found.items()}
    done = geomon("config", "show", "--json", **variables)
    assert done.returncode == 0
    rows = {row["name"]: row["from"] for row in json_lines(done.stdout)}
    assert rows["evidence_nats"] == rows["redis"] == "default"
    strange, url = done.stderr.decode().splitlines()
    no_setting = "in the environment is no setting and changes nothing"
    assert strange.endswith(f"_EVIDENCE_NAT {no_setting}; GEOMON_EVIDENCE_NATS is one")
    assert url.endswith(f"_REDIS_URL {no_setting}; GEOMON_REDIS is one")


def test_config_show_keeps_secrets() -> None:
    """It is what people paste when they ask for help."""
    secrets: dict[str, Any] = {
        "GEOMON_REDIS": "redis://duty:hush@redis:6379/0",
        "GEOMON_GATEWAY_MQTT": "mqtts://gateway:hush@broker",
        "GEOMON_CHECK_IN_SEED": "hush",
    }
    done = geomon("config", "show", "--json", **secrets)
    rows = {row["name"]: row["value"] for row in json_lines(done.stdout)}
    assert rows["redis"] == "redis://duty:***@redis:6379/0"
    assert rows["gateway_mqtt"] == "mqtts://gateway:***@broker"
    assert rows["check_in_seed"] == "***"
    assert b"hush" not in done.stdout + geomon("config", "show", **secrets).stdout


def test_a_table_shows_a_value_as_it_stands_and_whole() -> None:
    """Brackets are no markup, control characters steer nothing, and no line is folded."""
    value = f"[/nothing] [red]{'folder' * 30}\x1b[31m\n"
    done = geomon("config", "show", GEOMON_DATA_DIR=value, COLUMNS="40")
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.decode().splitlines() if line.startswith("data_dir "))
    assert f"[/nothing] [red]{'folder' * 30}\ufffd[31m\ufffd" in line
    assert line.rstrip().endswith("Where a worker keeps its local files.")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("GEOMON_CURFEW_GRACE_MIN", "30,15", "one value, or one for each of loose, normal, strict"),
        ("GEOMON_CHECK_INS", "-1", "check_ins must be at least 0 a day"),
        ("GEOMON_ESCALATE_AFTER_H", "4,later", "escalate_after_h"),
    ],
)
def test_a_wrong_plan_is_said_in_one_line(name: str, value: str, says: str) -> None:
    for command in (("config", "show"), ("replay", CASE_A)):
        done = geomon(*command, stdin=b"", **{name: value})
        talk = done.stderr.decode()
        assert done.returncode == 1
        assert says in talk
        assert len(talk.strip().splitlines()) == 1


def test_worker_replay_and_watch_make_one_system() -> None:
    """`geomon worker`, a recording sent to it, and what `geomon watch` then shows."""

    replayed = json_lines(geomon("replay", "--json", CASE_C).stdout)
    assert {alert["data"]["kind"] for alert in replayed} > {"leave_city", "lost_contact"}

    async def main() -> None:
        async with embedded_parts(Settings()) as parts:
            worker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "geomon", "worker", "--clock", "recording"),
                *("--kafka", parts.kafka, "--redis", parts.redis),
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "GEOMON_DATA_DIR": parts.data_dir, "GEOMON_WEB": ""},
            )
            assert worker.stderr is not None
            try:
                while b"is running" not in (line := await worker.stderr.readline()):
                    assert line, "the worker ended before it ran"
                sent = await asyncio.to_thread(geomon, "replay", "--kafka", parts.kafka, CASE_C)
                assert sent.returncode == 0, sent.stderr
                watch = ("watch", "--redis", parts.redis, "--from", "0", "--json", "--no-follow")
                end = time.monotonic() + 60
                alerts: list[dict[str, Any]] = []
                while len(alerts) < len(replayed) and time.monotonic() < end:
                    alerts = json_lines((await asyncio.to_thread(geomon, *watch)).stdout)
                worker.send_signal(signal.SIGTERM)
                last = await asyncio.wait_for(worker.stderr.read(), 30)
                assert await worker.wait() == 0
            finally:
                if worker.returncode is None:
                    worker.kill()
        assert [alert["id"] for alert in alerts] == [alert["id"] for alert in replayed]
        assert b"stopped after" in last

    asyncio.run(asyncio.wait_for(main(), 180))
