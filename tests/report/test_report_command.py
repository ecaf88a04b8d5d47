"""`geomon report`: from files and from Redis, in each form, and what a mistake looks like."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from duty import episode, log

from geomon.cli import cli
from geomon.embedded.redis import EmbeddedRedis
from geomon.report.rows import csv_columns
from geomon.sinks.alertlog import ENTRIES_AT_ONCE
from geomon.sinks.redis import RedisSink, log_key

PERIOD = ("--from", "2024-02-09", "--until", "2024-02-18")

CASES = log(
    episode(
        *("SZ-0001", "leave_city", "02-05 08:38", "opened 02-05 08:40"),
        "closed 02-21 17:56 returned @02-21 17:43",
        **{"district": "440304", "street": "莲花街道", "place": "441900"},
    ),
    episode(
        *("SZ-0002", "overdue_return", "02-10 00:00", "opened 02-10 01:00"),
        "closed 02-16 15:45 returned @02-16 15:45",
        **{"district": "440307", "street": "平湖街道", "place": "411700"},
    ),
    episode(
        *("SZ-0003", "leave_city", "02-13 09:52", "opened 02-13 09:54"),
        "closed 02-13 18:46 returned @02-13 18:46",
        **{"district": "440303", "street": "南湖街道", "place": "441300"},
    ),
)
REGISTER = [
    {
        "type": "supervisee",
        "supervisee_id": f"SZ-{n:04}",
        "district": "440304",
        "street": "莲花街道",
        "from": "2024-01-01T00:00:00+08:00",
        "until": "2024-12-31T24:00:00+08:00",
    }
    for n in range(1, 11)
]


def lines(*items: Any) -> bytes:
    return b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in items)


@pytest.fixture
def alerts(tmp_path: Path) -> str:
    path = tmp_path / "alerts.ndjson"
    path.write_bytes(lines(*CASES))
    return str(path)


@pytest.fixture
def register(tmp_path: Path) -> str:
    path = tmp_path / "register.ndjson"
    path.write_bytes(lines(*REGISTER))
    return str(path)


def report(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli, ["report", *arguments], input=stdin)


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def who(row: dict[str, Any]) -> dict[str, list[str]]:
    return {name: [b["supervisee_id"] for b in found] for name, found in row["breaches"].items()}


# -- where alerts come from -------------------------------------------------------------------


def test_a_holiday_from_a_file_is_one_object(alerts: str) -> None:
    [row] = rows(report(*PERIOD, "--json", "--people", "300", alerts))
    assert (row["group"], row["from"], row["until"]) == (
        *("total", "2024-02-08T16:00:00Z", "2024-02-17T16:00:00Z"),
    )
    assert who(row) == {
        "left_without_leave": ["SZ-0001", "SZ-0003"],
        "not_returned": ["SZ-0002"],
        "out_of_supervision": [],
    }
    assert row["alarms_by_kind"] == {"leave_city": 1, "overdue_return": 1}
    assert row["alarms_per_person_day"] == round(2 / 2700, 6)
    assert row["delays"]["overdue_return"] == {"alarms": 1, "median_s": 3600.0, "p95_s": 3600.0}
    assert [case["supervisee_id"] for case in row["open_cases"]] == ["SZ-0001"]


def test_files_packed_or_not_and_standard_input_are_one_log(tmp_path: Path) -> None:
    packed = tmp_path / "first.ndjson.gz"
    packed.write_bytes(gzip.compress(lines(*CASES[:4])))
    done = report(*PERIOD, "--json", str(packed), "-", stdin=lines(*CASES[3:]))
    assert rows(done)[0]["breaching_people"] == 3
    assert "1 repeated alerts counted once" in done.stderr


def test_what_watch_prints_can_be_reported(server: EmbeddedRedis, client: Any) -> None:
    deliver(server.url, CASES)
    watched = CliRunner().invoke(
        cli, ["watch", "--redis", server.url, "--json", "--from", "0", "--no-follow"]
    )
    assert rows(report(*PERIOD, "--json", "-", stdin=watched.stdout_bytes)) == rows(
        report(*PERIOD, "--json", "-", stdin=lines(*CASES))
    )


def deliver(url: str, alerts: list[dict[str, Any]]) -> None:
    async def run() -> None:
        sink = RedisSink(url)
        try:
            await sink.deliver(alerts)
        finally:
            await sink.close()

    asyncio.run(run())


def test_without_a_file_the_log_in_redis_is_read_to_its_end(
    server: EmbeddedRedis, client: Any
) -> None:
    """More than one page of it."""
    many = [
        alert
        for n in range(ENTRIES_AT_ONCE + 50)
        for alert in episode(f"SZ-{n}", "leave_city", "02-13 08:00", "opened 02-13 08:05")
    ]
    deliver(server.url, many)
    client.xadd(log_key(), {"other": "x"})
    done = report(*PERIOD, "--json", "--redis", server.url)
    assert rows(done)[0]["alarms"] == len(many)
    assert done.stderr.count("left out log entry") == 1


def test_a_log_without_an_entry_is_a_quiet_holiday(server: EmbeddedRedis, client: Any) -> None:
    [row] = rows(report(*PERIOD, "--json", "--redis", server.url, "--people", "5"))
    assert (row["alarms"], row["breaching_people"], row["alarms_per_person_day"]) == (0, 0, 0.0)


def test_from_redis_a_period_does_not_reach_beyond_now(server: EmbeddedRedis, client: Any) -> None:
    """What has not happened yet makes no case older and nobody supervised for longer."""
    deliver(server.url, CASES)
    until = ("--from", "2024-02-09", "--until", "2099-01-01")
    [row] = rows(report(*until, "--json", "--redis", server.url))
    assert row["until"] < "2090"


# -- people -----------------------------------------------------------------------------------


def test_a_register_gives_rates_by_group(alerts: str, register: str) -> None:
    found = rows(report(*PERIOD, "--json", "--by", "district", "--register", register, alerts))
    assert [(row["group"], row["name"], row["people"], row["alarms"]) for row in found] == [
        ("440303", "罗湖区", 0, 1),
        ("440304", "福田区", 10, 0),
        ("440307", "龙岗区", 0, 1),
        ("total", None, 10, 2),
    ]
    assert found[1]["alarms_per_person_day"] == 0
    assert found[0]["alarms_per_person_day"] is None, "nobody there to divide by"


def test_without_people_it_says_what_would_give_rates(alerts: str) -> None:
    done = report(*PERIOD, alerts)
    assert "--people N or --register FILE" in done.stderr
    by_street = report(*PERIOD, "--by", "street", "--people", "9", alerts)
    assert "No rates by street: --register FILE" in by_street.stderr
    assert "1.25" in by_street.stderr
    assert "6.7" in by_street.stderr


def test_a_broken_line_of_a_register_is_told_and_the_rest_counts(
    alerts: str, register: str
) -> None:
    with Path(register).open("ab") as file:
        file.write(b'{"type":"supervisee","supervisee_id":"SZ-0099"}\n{"supervisee"\n')
    done = report(*PERIOD, "--json", "--register", register, alerts)
    assert rows(done)[0]["people"] == 10
    assert f"refused {register}:11: missing_field" in done.stderr
    assert f"refused {register}:12: broken_json" in done.stderr


# -- forms ------------------------------------------------------------------------------------


def test_csv_has_the_same_heading_whatever_was_found(alerts: str) -> None:
    full = list(csv.reader(io.StringIO(report(*PERIOD, "--csv", "--by", "kind", alerts).stdout)))
    empty = list(csv.reader(io.StringIO(report(*PERIOD, "--csv", "-", stdin=b"").stdout)))
    assert full[0] == empty[0] == csv_columns()
    assert len(set(full[0])) == len(full[0])
    assert [len(row) for row in [*full, *empty]] == [len(csv_columns())] * 6
    found = [dict(zip(full[0], row, strict=True)) for row in full[1:]]
    assert [row["group"] for row in found] == ["leave_city", "overdue_return", "total"]
    assert [row["left_without_leave"] for row in found] == ["2", "0", "2"]
    assert [row["overdue_return_median_s"] for row in found] == ["", "3600.0", "3600.0"]
    assert [row["people"] for row in found] == ["", "", ""]


def test_no_text_of_an_alert_is_a_formula_in_a_spreadsheet() -> None:
    alarm = episode("SZ-1", "leave_city", "02-13 08:00", "opened 02-13 08:05", street="=1+1\x1b[2J")
    shown = report(*PERIOD, "--csv", "--by", "street", "-", stdin=lines(*alarm)).stdout
    assert "'=1+1\ufffd[2J" in shown


def test_people_read_tables_in_both_languages(alerts: str) -> None:
    shown = CliRunner(env={"COLUMNS": "140"}).invoke(
        cli, ["report", *PERIOD, "--by", "district", "--people", "300", alerts]
    )
    for words in (
        "2024-02-09 00:00 to 2024-02-18 00:00 +08:00",
        "福田区",
        "逾期未归 1",
        "Dongguan",
    ):
        assert words in " ".join(shown.stdout.split())
    assert "SZ-0001, SZ-0003" in shown.stdout


def test_what_came_over_the_wire_steers_neither_terminal_nor_table() -> None:
    alarm = episode("[red]甲\x1b[2J", "leave_city", "02-13 08:00", "opened 02-13 08:05")
    shown = report(*PERIOD, "-", stdin=lines(*alarm)).stdout
    assert "[red]甲\ufffd[2J" in shown


# -- mistakes ---------------------------------------------------------------------------------


def test_broken_lines_are_told_with_their_reason_and_counted(alerts: str) -> None:
    with Path(alerts).open("ab") as file:
        file.write(b"{\n" + b'{"type":"upload"}\n' * 20 + b"\xff\n[]\n")
    done = report(*PERIOD, "--json", alerts)
    assert rows(done)[0]["breaching_people"] == 3
    told = done.stderr.splitlines()
    assert f"left out {alerts}:7: not JSON: " in told[0]
    assert told[1] == f"left out {alerts}:8: not an alert: Object missing required field `id`"
    assert sum(line.startswith("left out /") for line in told) == 10
    assert "left out: 23 that are no alerts" in told
    assert "  not an alert: Object missing required field `id`: 20" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--json", "--csv", "x"], "--json, --csv and --html: one of them"),
        (["--csv", "--html", "y", "x"], "--json, --csv and --html: one of them"),
        (["--people", "3", "--register", "r", "x"], "--people and --register: one of them"),
        (["--redis", "redis://x", "x"], "FILE and --redis"),
        (["--register", "-", "-"], "standard input can be read once"),
        (["--from", "2024-02-18", "--until", "2024-02-09", "x"], "--until is not after --from"),
        (["--from", "new year"], "bad_time"),
        (["--until", "2024-02-31"], "bad_time"),
        (["--by", "name"], "'name' is not one of"),
        (["--people", "0"], "0 is not in the range"),
    ],
)
def test_wrong_usage_is_told_and_ends_with_2(arguments: list[str], told: str) -> None:
    done = report(*arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert done.stdout == ""


def test_a_mistake_is_one_line_on_the_real_command_line(tmp_path: Path, alerts: str) -> None:
    cut = tmp_path / "cut.ndjson.gz"
    cut.write_bytes(gzip.compress(lines(*CASES))[:-20])
    elsewhere = str(tmp_path / "no" / "page.html")
    for arguments, told in (
        (["--redis", "http://example"], "Redis URL http://example"),
        (["--redis", f"unix://:secret@{tmp_path}/redis.sock"], "/redis.sock: "),
        ([str(tmp_path / "none.ndjson")], "No such file"),
        ([str(tmp_path)], "Is a directory"),
        ([str(cut)], "cut.ndjson.gz"),
        (["--register", alerts, alerts], "no `supervisee` event in it"),
        (["--html", elsewhere, alerts], "cannot write"),
        (["--config", str(tmp_path / "none.toml"), alerts], "none.toml"),
    ):
        failed = geomon_report(*arguments)
        assert failed.returncode == 1, told
        assert told in failed.stderr
        assert "secret" not in failed.stderr
        assert (failed.stdout, failed.stderr.count("\n")) == ("", 1), failed.stderr


def geomon_report(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GEOMON_")}
    return subprocess.run(
        [sys.executable, "-m", "geomon", "report", *arguments],
        input=stdin,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_a_file_of_something_else_and_an_empty_one_fail_in_words() -> None:
    other = geomon_report("-", stdin='{"type":"upload"}\n' * 3)
    assert other.returncode == 1
    assert other.stderr.splitlines()[-1] == ("geomon: no alert in it: 3 lines of something else")
    empty = geomon_report("-")
    assert (empty.returncode, empty.stderr) == (
        *(1, "geomon: nothing to report: no alert, and no period named\n"),
    )


def test_a_reader_that_has_enough_ends_it_quietly(alerts: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m geomon report --csv '{alerts}' | head -c 5"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == b"by,gr"
    assert b"Traceback" not in done.stderr
    assert b"Error" not in done.stderr
