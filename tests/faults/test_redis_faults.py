"""A Redis that is killed, full, slow, out of reach, locked, or comes back empty."""

from __future__ import annotations

import shutil
import time
from typing import Any

from geomon.sinks.redis import TIMEOUT_S, log_key

from .night import SESSION_S, Night
from .telephone import Telephone

LOG = log_key()


def set_(client: Any, name: str, value: object) -> None:
    client.config_set(name, str(value))


def test_redis_is_killed_and_started_with_its_file(night: Night) -> None:
    night.workers(2)
    night.send(in_s=6)
    for share in (0.2, 0.5):
        night.until_told(share)
        night.kill_redis()
        night.until_said("alerts wait")
        night.redis.start()
    night.ends_as_replayed()


def test_redis_is_full_until_it_is_given_more(night: Night) -> None:
    [worker] = night.workers(1)
    night.send(in_s=4)
    night.until_told(0.3)
    with night.subscriber() as client:
        used: Any = client.info("memory")
        set_(client, "maxmemory-policy", "noeviction")
        set_(client, "maxmemory", used["used_memory"] // 2)
        night.until_said("raise maxmemory")
        told = night.told()
        assert told < len(night.recording.alerts)
        set_(client, "maxmemory", 0)
    assert worker.alive
    night.ends_as_replayed()


def test_redis_answers_slowly(night: Night) -> None:
    night.workers(1)
    night.send(in_s=4)
    for share in (0.2, 0.4, 0.6):
        night.until_told(share)
        with night.subscriber() as client:
            client.execute_command("CLIENT", "PAUSE", 1_500)
    night.ends_as_replayed()


def test_what_redis_did_and_could_not_answer_is_not_done_again(night: Night) -> None:
    """The line carries what the worker says and nothing back; then it is cut."""
    with Telephone(night.redis.url) as line:
        night.worker(redis=f"redis://{line.address}/0").until_running()
        night.send(in_s=4)
        for share in (0.2, 0.5):
            night.until_told(share)
            told = night.told()
            line.mute()
            night.until_told_more_than(told)
            line.cut()
            night.until_said("alerts wait")
            line.mend()
        night.ends_as_replayed()


def test_a_redis_that_comes_back_empty_is_told_what_comes_from_then_on(night: Night) -> None:
    """Its log is lost by nature; the topic of alerts has it all."""
    night.workers(1)
    night.send(in_s=4)
    night.until_told(0.4)
    night.kill_redis()
    shutil.rmtree(night.folder / "redis")
    night.until_said("alerts wait")
    night.redis.start()
    night.until_nothing_more_comes()
    night.stop()
    log = [alert["id"] for alert in night.alerts()]
    assert len(log) == len(set(log)), "told twice"
    wanted: dict[str, list[str]] = {alert["subject"]: [] for alert in night.recording.alerts}
    for alert in night.recording.alerts:
        wanted[alert["subject"]].append(alert["id"])
    told: dict[str, list[str]] = {person: [] for person in wanted}
    for alert_id in log:
        told[alert_id.split("/")[0]].append(alert_id)
    for person, ids in told.items():
        # Of everybody the last so and so many: from one alert on, all of them, in their order.
        assert ids == wanted[person][len(wanted[person]) - len(ids) :]
    assert 0 < len(log) < len(night.recording.alerts)
    night.topics_have_all(night.recording)


def test_a_worker_with_the_wrong_password_says_so_in_one_line(night: Night) -> None:
    with night.subscriber() as client:
        set_(client, "requirepass", "open sesame")
        client.execute_command("AUTH", "open sesame")
        worker = night.worker(redis=_with_password(night, "close-barley"))
        assert worker.until_ended() == 1
        [line] = worker.output.splitlines()
        assert "check user name and password in the URL" in line
        assert "barley" not in line
        set_(client, "requirepass", "")


def test_a_password_that_is_changed_stops_nothing_for_good(night: Night) -> None:
    """Redis closes the connections; the worker waits, and goes on when its password is right."""
    with night.subscriber() as client:
        set_(client, "requirepass", "old")
        client.execute_command("AUTH", "old")
        night.worker(redis=_with_password(night, "old")).until_running()
        night.send(in_s=4)
        night.eventually(lambda: int(client.xlen(LOG)), lambda told: told > 200, "it tells")
        set_(client, "requirepass", "new")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        night.until_said("check user name and password")
        set_(client, "requirepass", "old")
        told = int(client.xlen(LOG))
        night.eventually(lambda: int(client.xlen(LOG)), lambda now: now > told, "it tells again")
        set_(client, "requirepass", "")
    night.ends_as_replayed()


def _with_password(night: Night, password: str) -> str:
    return night.redis.url.replace("unix://", f"unix://:{password}@")


def test_redis_stands_still_for_longer_than_the_session_of_a_worker(night: Night) -> None:
    """A worker that waits for Redis is alive, and keeps its partitions."""
    night.workers(2)
    night.send(in_s=4)
    night.until_told(0.3)
    night.pause_redis()
    time.sleep(max(TIMEOUT_S, SESSION_S) + 1)  # there is nobody to ask whether it is long enough
    assert night.kafka.group(night.app_id) == ("Stable", 2)
    night.resume_redis()
    night.ends_as_replayed()
