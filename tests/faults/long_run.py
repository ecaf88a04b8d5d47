"""A long night: workers killed at random moments, some brokers and Redis too, and what is lost.

    python tests/faults/long_run.py [--kills 50] [--seed 1]

Three brokers, a Redis that writes everything down, three workers (at times two). A recording is
sent piece by piece, quickly; at a random moment of each piece something fails, and is mended or
replaced. Then a message is sent to every partition: how long until the last of them has led to its
alert is the time to recover. After each piece the alert log is compared with the replay of all that
was sent: what is lost, what is there twice. Ends with a table, and the course of one recovery.

Not in CI: it takes about a quarter of an hour. Exit 1 when anything was lost or told twice.
"""

from __future__ import annotations

import json
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from faults.night import PARTITIONS, SESSION_S, Night, free_port  # noqa: E402
from faults.process import WorkerProcess  # noqa: E402
from geomon.embedded.kafka import KafkaCluster  # noqa: E402

BURST_S = 1.0
WORKERS = 3


@dataclass(frozen=True)
class Row:
    """What one fault came to."""

    fault: str
    messages: int
    alerts: int
    lost: int
    twice: int
    recovered_s: float


class LongNight:
    """Faults one after the other, in one night."""

    def __init__(self, night: Night, chance: random.Random) -> None:
        self.rows: list[Row] = []
        self._night = night
        self._chance = chance
        night.restarts = []  # as a supervisor of services does, which is not to be needed
        night.workers(WORKERS)

    @property
    def _working(self) -> list[WorkerProcess]:
        return [worker for worker in self._night.everybody if worker.alive]

    def step(self, fault: str, share: float) -> Row:
        """Send a piece, let something fail in the middle of it, and look what came of it."""
        night, before = self._night, self._night.sent
        night.send(share, in_s=BURST_S)
        time.sleep(self._chance.uniform(0, BURST_S))
        begun = time.monotonic()
        mend = FAULTS[fault][0](self)
        with ThreadPoolExecutor(1) as sender:  # what is sent may have to wait for a broker
            marks = sender.submit(night.mark)
            mend()
            night.until_marked(marks.result())
        recovered_s = time.monotonic() - begun
        night.until_nothing_more_comes()
        lost, twice = self._compare()
        messages = night.sent - before
        alerts = self._led_to(night.sent) - self._led_to(before)
        row = Row(fault, messages, alerts, lost, twice, recovered_s)
        self.rows.append(row)
        return row

    def _led_to(self, sent: int) -> int:
        return self._night.recording.led_to[sent - 1] if sent else 0

    def _compare(self) -> tuple[int, int]:
        wanted = self._night.recording.alerts[: self._led_to(self._night.sent)]
        told = Counter(alert["id"] for alert in self._night.alerts())
        due = Counter(alert["id"] for alert in wanted)
        return (due - told).total(), (told - due).total()

    # Each fault gives what mends it

    def kill_worker(self) -> Callable[[], None]:
        """Kill one; sometimes it is not replaced before the next one is."""
        self._chance.choice(self._working).kill()
        return self._replace if self._chance.random() < 0.8 else self._catch_up

    def kill_two_workers(self) -> Callable[[], None]:
        """Kill two at the same moment."""
        for _ in range(2):
            self._chance.choice(self._working).kill()
        return self._replace

    def kill_all_workers(self) -> Callable[[], None]:
        """Kill all of them."""
        for worker in self._working:
            worker.kill()
        return self._replace

    def freeze_worker(self) -> Callable[[], None]:
        """Stop one where it is, until another has its people."""
        frozen = self._chance.choice(self._working)
        frozen.pause()

        def thaw() -> None:
            time.sleep(SESSION_S + self._chance.uniform(1, 4))
            frozen.resume()

        return thaw

    def kill_broker(self) -> Callable[[], None]:
        """Kill one of three brokers."""
        number = self._chance.choice(list(self._night.cluster.numbers))
        self._night.cluster.kill(number)

        def again() -> None:
            time.sleep(self._chance.uniform(1, 6))
            self._night.start_brokers()

        return again

    def kill_all_brokers(self) -> Callable[[], None]:
        """Kill all three."""
        for number in self._night.cluster.numbers:
            self._night.cluster.kill(number)
        return self._night.start_brokers

    def kill_redis(self) -> Callable[[], None]:
        """Kill Redis; it comes back with its file."""
        self._night.kill_redis()

        def again() -> None:
            time.sleep(self._chance.uniform(0.5, 4))
            self._night.redis.start()

        return again

    def _replace(self) -> None:
        while len(self._working) < WORKERS:
            self._night.worker()

    def _catch_up(self) -> None:
        """Go on with one less; the next time there are three again."""
        if len(self._working) < WORKERS - 1:
            self._replace()


#: What may fail, and how many workers it kills.
FAULTS: dict[str, tuple[Callable[[LongNight], Callable[[], None]], int]] = {
    "kill -9 of a worker": (LongNight.kill_worker, 1),
    "kill -9 of two workers at once": (LongNight.kill_two_workers, 2),
    "kill -9 of all workers": (LongNight.kill_all_workers, WORKERS - 1),
    "a worker frozen past its session": (LongNight.freeze_worker, 0),
    "kill -9 of a broker": (LongNight.kill_broker, 0),
    "kill -9 of all brokers": (LongNight.kill_all_brokers, 0),
    "kill -9 of Redis": (LongNight.kill_redis, 0),
}


def schedule(kills: int, chance: random.Random) -> list[str]:
    """The faults of a night, in which at least so many workers are killed."""
    several = max(1, kills // 20)
    faults = (
        ["kill -9 of two workers at once"] * several
        + ["kill -9 of all workers"] * several
        + ["kill -9 of a worker"] * max(1, kills - (1 + WORKERS) * several)
        + ["a worker frozen past its session"] * several
        + ["kill -9 of a broker"] * max(1, kills // 10)
        + ["kill -9 of all brokers"]
        + ["kill -9 of Redis"] * max(1, kills // 10)
    )
    chance.shuffle(faults)
    return faults


def table(rows: list[Row]) -> str:
    """The rows by fault, and all of them."""
    lines = [
        f"{'fault':34}{'times':>6}{'messages':>10}{'alerts':>8}{'lost':>6}{'twice':>7}"
        f"{'seconds to recover: median':>29}{'most':>7}"
    ]
    kinds = sorted({row.fault for row in rows}, key=list(FAULTS).index)
    for fault, some in [(f, [r for r in rows if r.fault == f]) for f in kinds] + [("all", rows)]:
        took = [row.recovered_s for row in some]
        lines.append(
            f"{fault:34}{len(some):>6}{sum(r.messages for r in some):>10,}"
            f"{sum(r.alerts for r in some):>8,}{sum(r.lost for r in some):>6}"
            f"{sum(r.twice for r in some):>7}{statistics.median(took):>29.1f}{max(took):>7.1f}"
        )
    return "\n".join(lines)


def course(night: Night) -> str:
    """Kill one of two workers, and write down what the other says of itself meanwhile."""
    ports = [free_port(), free_port()]
    survivor, victim = (night.worker(web=f"127.0.0.1:{port}") for port in ports)
    night.until_shared_by(2)
    night.until_marked(night.mark())
    night.send(0.5, in_s=2.0)
    night.until_told(0.2)
    held = _says(ports[0])
    lines = [f"{0.0:7.2f} s  kill -9 of a worker; the other: {held}"]
    begun = time.monotonic()
    victim.kill()
    marks = night.mark()
    said, seen, told = held, set(night.marked(marks)), night.told()
    lag_zero = False
    while time.monotonic() - begun < 60 and not lag_zero:
        at = time.monotonic() - begun
        if (now := _says(ports[0])) != said:
            lines.append(f"{at:7.2f} s  the other: {now}")
            said = now
        for mark in sorted(set(night.marked(marks)) - seen):
            lines.append(f"{at:7.2f} s  told: what came by partition {mark} right after the kill")
            seen.add(mark)
        lag_zero = len(seen) == PARTITIONS and "0 events wait" in said
    lines.append(f"{time.monotonic() - begun:7.2f} s  nothing waits; {night.told() - told} alerts")
    assert survivor.alive
    return "\n".join(lines)


def _says(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            page = json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            page = json.load(error)
    except OSError as error:
        return f"no answer ({error})"
    told = {check["check"]: check["why"] for check in page["checks"]}
    return f"{told['partitions']}; {told['lag']}"


@click.command()
@click.option("--kills", default=50, show_default=True, help="Workers to kill, at least.")
@click.option("--seed", default=1, show_default=True, help="The chances follow from it.")
@click.option(
    "--copies", default=60, show_default=True, help="Size of the recording: 422 lines a copy."
)
def main(kills: int, seed: int, copies: int) -> None:
    """Run the night and print what came of it."""
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    print(f"commit {commit}, Python {platform.python_version()}, seed {seed}", flush=True)
    chance = random.Random(seed)  # noqa: S311
    faults = schedule(kills, chance)
    with (
        KafkaCluster(3) as cluster,
        tempfile.TemporaryDirectory() as folder,
    ):
        with Night(cluster, Path(folder) / "night", brokers=3, copies=copies) as night:
            long_night = LongNight(night, chance)
            for number, fault in enumerate(faults, 1):
                row = long_night.step(fault, 1 / len(faults))
                print(f"{number:3} of {len(faults)}: {row}", flush=True)
            night.ends_as_replayed()
            repeats, restarts = night.repeats(), night.restarts or []
        print()
        print(table(long_night.rows))
        killed = sum(FAULTS[row.fault][1] for row in long_night.rows)
        print(f"workers killed: {killed}; alerts that came again in Kafka's topic: {repeats}")
        print(f"workers that gave up and were started again: {len(restarts)}")
        print("\n".join(restarts))
        print("\nThe course of one recovery")
        with Night(cluster, Path(folder) / "course", brokers=3) as night:
            print(course(night))
    if restarts or any(row.lost or row.twice for row in long_night.rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
