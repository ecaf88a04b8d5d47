"""`geomon watch`: nothing missed, nothing twice, and a clean end."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import redis

from geomon.alerts import KINDS, REASONS
from geomon.embedded.redis import EmbeddedRedis
from geomon.operations.canary import CanaryNotes
from geomon.sinks.redis import RedisSink, log_key

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from geomon.cli import main; main()", "watch"]
PATIENCE_S = 60.0
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("GEOMON_")}


def alert(person: str, phase: str = "opened", **data: Any) -> dict[str, Any]:
    kind = data.get("kind", "leave_city")
    episode = f"{person}/{kind}/2024-02-13T01:30:00Z"
    return {
        "specversion": "1.0",
        "id": f"{episode}#{['opened', 'updated', 'closed'].index(phase) + 1}",
        "type": f"geomon.alert.{phase}",
        "subject": person,
        "time": "2024-02-13T01:33:10Z",
        "data": {
            "episode": episode,
            "kind": kind,
            "phase": phase,
            "severity": "high",
            "district": "440303",
            "place": "441900",
            "reason": "outside_without_leave",
            **data,
        },
    }


def deliver(url: str, *alerts: dict[str, Any]) -> None:
    async def run() -> None:
        sink = RedisSink(url)
        try:
            await sink.deliver_until_done(alerts, on_trouble=lambda _: None)
        finally:
            await sink.close()

    asyncio.run(run())


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def start(*arguments: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(true: Callable[[], Any]) -> None:
    """Ask again and again until the server shows what is awaited; fail at the end of patience."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.01)


def waiting(client: Any) -> bool:
    return bool(client.info("clients")["blocked_clients"])


def persons(output: str) -> list[str]:
    return [json.loads(line)["subject"] for line in output.splitlines()]


def test_each_line_is_the_event_and_its_place_in_the_log(
    server: EmbeddedRedis, client: Any
) -> None:
    opened, closed = alert("SZ-1"), alert("SZ-1", "closed")
    deliver(server.url, opened, closed)
    shown = run("--redis", server.url, "--json", "--no-follow")
    ids = [log_id for log_id, _ in client.xrange(log_key())]
    assert [json.loads(line) for line in shown.stdout.splitlines()] == [
        {**opened, "log_id": ids[0]},
        {**closed, "log_id": ids[1]},
    ]
    assert (shown.returncode, shown.stderr) == (0, "")


def test_it_resumes_behind_the_entry_it_is_given(server: EmbeddedRedis, client: Any) -> None:
    deliver(server.url, *(alert(f"SZ-{n}") for n in range(500)))
    whole = run("--redis", server.url, "--json", "--from", "0", "--no-follow").stdout
    assert persons(whole) == [f"SZ-{n}" for n in range(500)]
    seen = json.loads(whole.splitlines()[300])["log_id"]
    rest = run("--redis", server.url, "--json", "--from", seen, "--no-follow")
    assert persons(rest.stdout) == [f"SZ-{n}" for n in range(301, 500)]
    assert rest.stderr == ""


def test_a_log_trimmed_behind_the_given_entry_is_told(server: EmbeddedRedis, client: Any) -> None:
    deliver(server.url, *(alert(f"SZ-{n}") for n in range(3)))
    first = client.xrange(log_key(), count=1)[0][0]
    client.xtrim(log_key(), maxlen=1, approximate=False)
    shown = run("--redis", server.url, "--json", "--from", first, "--no-follow")
    assert persons(shown.stdout) == ["SZ-2"]
    assert f"what came between {first} and that may be trimmed" in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_by_default_it_begins_now_and_ctrl_c_ends_it(server: EmbeddedRedis, client: Any) -> None:
    deliver(server.url, alert("SZ-before"))
    with start("--redis", server.url, "--json") as watch:
        try:
            until(lambda: waiting(client))
            deliver(server.url, alert("SZ-after"))
            assert watch.stdout is not None
            assert json.loads(watch.stdout.readline())["subject"] == "SZ-after"
            watch.send_signal(signal.SIGINT)
            stdout, stderr = watch.communicate(timeout=PATIENCE_S)
        finally:
            watch.kill()
    assert watch.returncode == 130
    assert stdout == ""
    assert stderr.strip() == ""


def test_districts_kinds_and_severities_narrow_it(server: EmbeddedRedis, client: Any) -> None:
    deliver(
        server.url,
        alert("SZ-1"),
        alert("SZ-2", district="440304"),
        alert("SZ-3", district=None),
        alert("SZ-4", kind="off_itinerary", severity="low"),
        alert("SZ-5", kind="overdue_return", severity="critical", district="440304"),
    )

    def shown(*filters: str) -> list[str]:
        return persons(run("--redis", server.url, "--json", "--no-follow", *filters).stdout)

    assert shown() == ["SZ-1", "SZ-2", "SZ-3", "SZ-4", "SZ-5"]
    assert shown("--district", "440304") == ["SZ-2", "SZ-5"]
    assert shown("--kind", "off_itinerary", "--kind", "overdue_return") == ["SZ-4", "SZ-5"]
    assert shown("--severity", "high", "--district", "440304") == ["SZ-2"]


def test_people_read_a_line_with_local_time_and_chinese_labels(
    server: EmbeddedRedis, client: Any
) -> None:
    deliver(server.url, alert("SZ-1"), alert("甲\x1b[2J", "closed", place=None, district=None))
    shown = run("--redis", server.url, "--no-follow").stdout
    first, second = shown.splitlines()
    assert first.split() == [
        *("2024-02-13", "09:33:10", "high", "opened", "leave_city", "违规离深", "SZ-1"),
        *("440303", "441900", "outside_without_leave", "未经批准离开本市"),
    ]
    assert "\x1b" not in shown, "what comes over the wire must not steer the terminal"
    assert "甲\ufffd[2J" in second
    # Columns line up in cells: the person of the second line has one character of two cells.
    assert second.index("outside") == first.index("outside") - 1


def test_every_kind_has_its_label_and_can_be_asked_for(server: EmbeddedRedis, client: Any) -> None:
    notices = [name for name, kind in KINDS.items() if kind.notice]
    severity = {name: "info" if name in notices else "medium" for name in KINDS}
    deliver(
        server.url,
        *(alert(f"SZ-{name}", kind=name, severity=severity[name]) for name in KINDS),
    )
    shown = run("--redis", server.url, "--no-follow").stdout.splitlines()
    assert [line.split()[4:6] for line in shown] == [
        [name, kind.label_zh] for name, kind in KINDS.items()
    ]
    asked = [word for name in notices for word in ("--kind", name)]
    for filters in (asked, ["--severity", "info"]):
        found = run("--redis", server.url, "--json", "--no-follow", *filters).stdout
        assert persons(found) == [f"SZ-{name}" for name in KINDS if name in notices]
    lost = run("--redis", server.url, "--json", "--no-follow", "--kind", "lost_contact").stdout
    assert persons(lost) == ["SZ-lost_contact"]


def test_an_update_names_why_it_is_told(server: EmbeddedRedis, client: Any) -> None:
    """A reason of opening, one of growing graver, one of the law."""
    deliver(
        server.url,
        alert("SZ-1", kind="lost_contact", reason="battery_died", severity="low"),
        alert("SZ-1", "updated", kind="lost_contact", reason="still_open", severity="medium"),
        alert("SZ-2", "updated", reason="proposal", severity="critical"),
    )
    ends = [
        line.split()[-2:] for line in run("--redis", server.url, "--no-follow").stdout.splitlines()
    ]
    assert ends == [
        [reason, REASONS[reason][1]] for reason in ("battery_died", "still_open", "proposal")
    ]


def test_on_a_terminal_there_is_a_heading_and_colour(server: EmbeddedRedis, client: Any) -> None:
    deliver(server.url, alert("SZ-1"))
    ours, theirs = pty.openpty()
    with start("--redis", server.url, "--no-follow", stdout=theirs) as watch:
        os.close(theirs)
        screen = b""
        try:
            while data := os.read(ours, 4096):
                screen += data
        except OSError:  # Linux reports the closed other side so
            pass
        finally:
            os.close(ours)
        assert watch.wait(PATIENCE_S) == 0
        assert watch.stderr is not None
        assert watch.stderr.read() == ""
    heading, line = screen.decode().splitlines()
    assert "time +08:00" in heading
    assert "\x1b[31mhigh" in line


def test_an_entry_that_is_no_alert_is_skipped_with_a_word(
    server: EmbeddedRedis, client: Any
) -> None:
    for fields in ({"other": "x"}, {"event": "{"}, {"event": "[]"}, {"event": '{"data": 1}'}):
        client.xadd(log_key(), fields)
    deliver(server.url, alert("SZ-1"))
    shown = run("--redis", server.url, "--json", "--no-follow")
    assert persons(shown.stdout) == ["SZ-1"]
    assert shown.stderr.count("is not an alert: skipped\n") == 4
    assert shown.returncode == 0


def test_when_redis_goes_away_and_comes_back_nothing_is_missed_or_shown_twice(
    tmp_path: Path,
) -> None:
    shown: list[str] = []
    first, second = EmbeddedRedis(directory=tmp_path), EmbeddedRedis(directory=tmp_path)
    first.start()
    try:
        deliver(first.url, alert("SZ-1"))
        with start("--redis", first.url, "--json", "--from", "0") as watch:
            try:
                assert watch.stdout is not None
                assert watch.stderr is not None
                shown.append(watch.stdout.readline())
                os.kill(first.pid, signal.SIGKILL)
                away = watch.stderr.readline()
                first.stop()
                second.start()
                deliver(second.url, alert("SZ-2"), alert("SZ-3"))
                shown += [watch.stdout.readline() for _ in range(2)]
                back = watch.stderr.readline()
                # A cause that changes on the way (first cut off, then not there) is told too.
                while "is back" not in back:
                    assert "is away, trying again" in back
                    back = watch.stderr.readline()
                watch.send_signal(signal.SIGINT)
                rest, trace = watch.communicate(timeout=PATIENCE_S)
            finally:
                watch.kill()
    finally:
        first.stop()
        second.stop()
    assert persons("".join(shown) + rest) == ["SZ-1", "SZ-2", "SZ-3"]
    assert "is away, trying again" in away
    assert watch.returncode == 130
    assert trace.strip() == ""


def test_a_failover_does_not_end_it(tmp_path: Path) -> None:
    """A master that becomes a replica turns its blocked readers out: one more reason to wait."""
    with (
        EmbeddedRedis(directory=tmp_path) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        # A replica without its master says MASTERDOWN, and not what it still knows.
        client.config_set("replica-serve-stale-data", "no")
        with start("--redis", server.url, "--json") as watch:
            try:
                assert watch.stdout is not None
                assert watch.stderr is not None
                until(lambda: waiting(client))
                client.execute_command("REPLICAOF", "127.0.0.1", "1")
                said = watch.stderr.readline()
                while "MASTERDOWN" not in said and "Link with MASTER is down" not in said:
                    assert "is away, trying again" in said
                    said = watch.stderr.readline()
                client.execute_command("REPLICAOF", "NO", "ONE")
                deliver(server.url, alert("SZ-1"))
                assert json.loads(watch.stdout.readline())["subject"] == "SZ-1"
                watch.send_signal(signal.SIGINT)
                rest, told = watch.communicate(timeout=PATIENCE_S)
            finally:
                watch.kill()
    assert (watch.returncode, rest) == (130, "")
    assert "is back" in told


def test_a_redis_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    with start("--redis", f"unix://{tmp_path}/redis.sock", "--json") as watch:
        try:
            assert watch.stderr is not None
            assert watch.stdout is not None
            assert "is away, trying again" in watch.stderr.readline()
            with (
                EmbeddedRedis(directory=tmp_path) as server,
                redis.Redis.from_url(server.url) as client,
            ):
                until(lambda: waiting(client))
                deliver(server.url, alert("SZ-1"))
                assert json.loads(watch.stdout.readline())["subject"] == "SZ-1"
        finally:
            watch.kill()


def test_when_nobody_reads_any_more_it_ends_without_waiting_for_an_alert(
    server: EmbeddedRedis, client: Any
) -> None:
    deliver(server.url, alert("SZ-1"))
    with start("--redis", server.url, "--json", "--from", "0") as watch:
        try:
            assert watch.stdout is not None
            assert watch.stderr is not None
            watch.stdout.readline()
            watch.stdout.close()
            assert watch.wait(PATIENCE_S) == 0
            assert watch.stderr.read() == ""
        finally:
            watch.kill()


def test_a_pipe_that_breaks_in_the_middle_is_no_failure(server: EmbeddedRedis, client: Any) -> None:
    deliver(server.url, *(alert(f"SZ-{n}") for n in range(1000)))
    with start("--redis", server.url, "--json", "--no-follow") as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        watch.stdout.readline()
        watch.stdout.close()
        assert watch.wait(PATIENCE_S) == 0
        assert watch.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--redis", "http://example"], 1, "Redis URL http://example"),
        (["--redis", "unix:///nowhere/redis.sock", "--no-follow"], 1, "/nowhere/redis.sock"),
        (["--from", "yesterday"], 2, "no id of the log"),
        (["--kind", "sneezing"], 2, "sneezing"),
        (["--severity", "loud"], 2, "loud"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(arguments: list[str], code: int, told: str) -> None:
    failed = run(*arguments)
    assert failed.returncode == code
    assert told in failed.stderr
    assert "Traceback" not in failed.stderr
    assert code == 2 or failed.stderr.count("\n") == 1
    assert failed.stdout == ""


def test_a_wrong_password_ends_it_at_once_and_is_not_shown(
    server: EmbeddedRedis, client: Any
) -> None:
    url = server.url.replace("unix://", "unix://nobody:secret@")
    failed = run("--redis", url)
    assert failed.returncode == 1
    assert "check user name and password" in failed.stderr
    assert "secret" not in failed.stderr
    assert failed.stderr.count("\n") == 1


# -- canaries -------------------------------------------------------------------------------------


def note_canaries(url: str, *partitions: int) -> None:
    async def run() -> None:
        notes = CanaryNotes(url, worker="duty-2:77")
        try:
            now = datetime.now(timezone.utc)
            assert await notes.note([(number, now) for number in partitions], now.timestamp())
        finally:
            await notes.close()

    asyncio.run(run())


def grow_old(client: Any, partition: int, seconds: int) -> None:
    key = f"geomon:canary:{partition}"
    client.pexpire(key, client.pttl(key) - 1000 * seconds)


def test_a_partition_without_a_canary_is_told_on_stderr(server: EmbeddedRedis, client: Any) -> None:
    """A worker that is dead cannot say so itself."""
    note_canaries(server.url, 0, 1, 2)
    grow_old(client, 1, 150)
    process = start("--redis", server.url)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        assert line.startswith("geomon: no canary of partition 1 for 15")
        assert "last seen by duty-2:77" in line
        note_canaries(server.url, 1)
        assert process.stderr.readline() == "geomon: the canary of partition 1 is back\n"
    finally:
        process.send_signal(signal.SIGINT)
        output, rest = process.communicate(timeout=PATIENCE_S)
    assert (output, rest) == ("", "")


def test_what_canaries_say_is_for_those_who_wait(server: EmbeddedRedis, client: Any) -> None:
    note_canaries(server.url, 0)
    grow_old(client, 0, 1000)
    done = run("--redis", server.url, "--no-follow")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_without_the_right_to_canaries_still_sees_alerts(
    server: EmbeddedRedis, client: Any
) -> None:
    if int(client.info("server")["redis_version"].split(".")[0]) < 6:
        pytest.skip("a Redis without users")
    rights = ("+@all", "~geomon:alerts:*")
    client.execute_command("ACL", "SETUSER", "screen", "on", ">secret", *rights)
    url = server.url.replace("unix://", "unix://screen:secret@")
    try:
        process = start("--redis", url, "--from", "0", "--json")
        assert process.stderr is not None
        assert process.stdout is not None
        try:
            assert "canaries cannot be listened to" in process.stderr.readline()
            deliver(server.url, alert("SZ-1"))
            assert json.loads(process.stdout.readline())["subject"] == "SZ-1"
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE_S)
    finally:
        client.execute_command("ACL", "DELUSER", "screen")


def test_what_is_put_back_in_the_log_is_no_news(server: EmbeddedRedis, client: Any) -> None:
    def put_back(person: str, **more: str) -> None:
        event = alert(person)
        fields = {"id": event["id"], "event": json.dumps(event), **more}
        client.xadd(log_key(), fields)

    process = start("--redis", server.url, "--json")
    assert process.stdout is not None
    try:
        until(lambda: waiting(client))
        put_back("SZ-1", restored="1")
        put_back("SZ-2", restored="1")
        put_back("SZ-3")
        assert json.loads(process.stdout.readline())["subject"] == "SZ-3"
    finally:
        process.send_signal(signal.SIGINT)
        output, talk = process.communicate(timeout=PATIENCE_S)
    assert output == ""
    assert talk.count("put back in the log") == 1
    done = run("--redis", server.url, "--json", "--no-follow")
    shown = [json.loads(line)["subject"] for line in done.stdout.splitlines()]
    assert shown == ["SZ-1", "SZ-2", "SZ-3"], "asked for from the beginning, all of it"
