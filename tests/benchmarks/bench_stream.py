"""What a worker takes in through a real Kafka, beside other programs on the same messages.

    python tests/benchmarks/bench_stream.py [--quick] [--people N,N] [--per-upload N,N] ...

One broker, one Redis and everything measured share this machine. Prints a table in Markdown with
the machine, the commit and versions; progress goes to standard error.

*drain*     a topic is filled and then read by one and by two workers, and by the other programs
            (`peers.py`), a group each. Rates are taken over the middle nine tenths; the peers are
            broken off after `--limit` seconds.
*recover*   a worker is started anew upon the states of a drain: the time from the start of its
            process until it has judged a message that waits for it.
*live*      uploads come at a fixed rate with the time of day in them. An alert's latency is the
            time from handing its deciding upload to Kafka's client to its sight in Redis' log.

Processor time is the measured process's alone; brackets say how busy the broker was beside it, and
the whole machine: where others fill that, rates say little and times say more. The ratio to plain
Faust is of rates, and in brackets of processor time. Memory a person is what the process grew by
from its first alert to its peak, by people. States are written at checkpoints: what a drain wrote
in all, at its end too, is counted as records; a drain shorter than a checkpoint is timed without.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import tile38
from bench_zones import machine
from crowd import CROSSING_SHARE, Crowd
from figures import Row, table
from gauges import AlertReader, LagReader, Meter, latencies_s, pace_of, percentile
from load import Filled, fill, marker_id, send_marker
from stage import HERE, Stage, stage

from geomon.embedded.kafka import NEWEST
from geomon.errors import UnavailableError
from geomon.topics import changelog_of

PARTITIONS = 4
PEERS = ("bare", "faust-for", "faust-take", "naive", "tile38")
#: Messages of one fill by fixes in each, unless there are more people.
MESSAGES = {1: 1_500_000, 10: 500_000, 50: 150_000}
_PACKAGES = ("faust-streaming", "aiokafka", "confluent-kafka", "uvloop", "msgspec", "shapely")
_WAIT_S = 120.0


class Bench:
    """Measures on one stage; rows are told as they come."""

    def __init__(self, on: Stage, options: argparse.Namespace) -> None:
        self.stage = on
        self.options = options
        self.rows: list[Row] = []

    def say(self, text: str) -> None:
        """Tell of progress."""
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def keep(self, row: Row) -> Row:
        """Keep a row and tell it."""
        self.rows.append(row)
        told = {k: v for k, v in asdict(row).items() if v is not None}
        self.say(json.dumps(told))
        if self.options.json:
            with self.options.json.open("a") as file:
                file.write(json.dumps(told) + "\n")
        return row

    def fill(self, people: int, per_upload: int, *, live: bool = False) -> Filled:
        """Empty everything, and fill the topic; with `live` as it is when a live run begins."""
        self.stage.empty()
        crossing = crossing_live(people) if live else CROSSING_SHARE
        crowd = Crowd(people, gcj02=self.options.gcj02, crossing=crossing)
        most = self.options.messages or MESSAGES.get(per_upload, 5_000_000 // per_upload)
        filled = fill(
            self.stage.kafka,
            crowd,
            messages=max(people, most),
            per_upload=per_upload,
            partitions=self.stage.partitions,
            end_s=int(time.time()),
            prime=live,
        )
        self.say(
            f"filled: {people:,} people, {filled.messages:,} uploads, {filled.fixes:,} fixes, "
            f"{filled.bytes / 1e6:,.0f} MB at {filled.messages / filled.took_s:,.0f} uploads/s"
        )
        return filled

    def drain(
        self, filled: Filled, people: int, per_upload: int, processes: int, *, clock: str
    ) -> tuple[Row, str]:
        """Let workers read what is in the topic; give the row and their group."""
        on = self.stage
        group = on.name("geomon")
        on.make_changelog(group)
        on.forget_alerts()
        row = Row("geomon", people, per_upload, processes)
        with ExitStack() as stack:
            reader = stack.enter_context(AlertReader(on.redis))
            running = stack.enter_context(on.workers(group, processes, clock=clock))
            meter = stack.enter_context(Meter([process.pid for process in running]))
            broker = stack.enter_context(Meter([on.broker_pid]))
            started = time.monotonic()
            while True:
                course = reader.course(filled)
                over = time.monotonic() - started
                if len(course) == len(filled.markers):
                    break
                if any(process.poll() is not None for process in running):
                    row.note = f"a worker ended: {on.said(group)}"
                    break
                if over > self.options.drain or (not course and over > _WAIT_S):
                    row.note = f"only {len(course)} of {len(filled.markers)} markers were told"
                    break
                time.sleep(0.2)
            row.alerts = len(reader.seen)
            rate(row, reader.course(filled), filled, meter, broker)
            if course:
                grown_mb = sum(meter.peak_mb.values()) - meter.rss_mb(course[0][0])
                row.bytes_per_person = round(grown_mb * 2**20 / people)
            stopping = time.monotonic()
        row.stop_s = round(time.monotonic() - stopping, 1)
        row.changelog = on.length_of(changelog_of(group))
        return self.keep(row), group

    def peers(self, filled: Filled, people: int, per_upload: int) -> None:
        """Let the other programs read the same topic, one after the other."""
        for name in self.options.peers:
            row = Row(name, people, per_upload)
            try:
                with ExitStack() as stack:
                    pids = []
                    extra: tuple[str, ...] = ()
                    if name == "tile38":
                        program = tile38.build(self.options.tile38)
                        address, pid = stack.enter_context(
                            tile38.running(program, self.stage.folder)
                        )
                        pids.append(pid)
                        extra = ("--tile38", address)
                    peer = stack.enter_context(self.stage.peer(name, *extra))
                    meter = stack.enter_context(Meter([*pids, peer.process.pid]))
                    broker = stack.enter_context(Meter([self.stage.broker_pid]))
                    peer.wait(filled.messages, self.options.limit)
                    rate(row, peer.course, filled, meter, broker)
                    row.alerts = peer.told or None
            except UnavailableError as error:
                row.note = str(error)
            self.keep(row)

    def recover(self, group: str, people: int, *, clock: str) -> None:
        """Start a worker upon its states, and leave it again."""
        on = self.stage
        row = Row("recovery", people, 0)
        row.changelog = on.length_of(changelog_of(group))
        marker = marker_id(0, on.partitions, on.name("r"))
        send_marker(on.kafka, marker, int(time.time()))
        with AlertReader(on.redis) as reader:
            begin = time.time()
            with (
                on.workers(group, 1, clock=clock) as running,
                Meter([process.pid for process in running]) as meter,
            ):
                at = reader.wait_for(marker, _WAIT_S)
                if at is None:
                    row.note = f"not in {_WAIT_S:g} s: {on.said(group)}"
                else:
                    row.recovery_s = round(at - begin, 2)
                    row.peak_mb = round(sum(meter.peak_mb.values()))
        self.keep(row)

    def live(self, group: str, people: int, per_upload: int, rate_per_s: float) -> None:
        """Let uploads come at a fixed rate to one worker that is up to date."""
        on = self.stage
        row = Row("live", people, per_upload)
        sent_to = on.folder / "sent.json"
        seconds = self.options.seconds
        with ExitStack() as stack:
            reader = stack.enter_context(AlertReader(on.redis))
            address = on.free_address()
            running = stack.enter_context(on.workers(group, 1, clock="wall", web=address))
            meter = stack.enter_context(Meter([process.pid for process in running]))
            broker = stack.enter_context(Meter([on.broker_pid]))
            marker = marker_id(0, on.partitions, on.name("l"))
            send_marker(on.kafka, marker, int(time.time()))
            if reader.wait_for(marker, _WAIT_S) is None:
                row.note = f"not up in {_WAIT_S:g} s: {on.said(group)}"
                self.keep(row)
                return
            lag = stack.enter_context(LagReader(address))
            begin = time.time()
            command = [
                *(sys.executable, str(HERE / "load.py"), "--kafka", on.kafka),
                *("--people", str(people), "--per-upload", str(per_upload)),
                *("--rate", str(rate_per_s), "--seconds", str(seconds)),
                *("--gcj02", str(self.options.gcj02), "--crossing", str(crossing_live(people))),
                *("--sent", str(sent_to)),
            ]
            said = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            end = time.time()
            last = marker_id(0, on.partitions, on.name("l"))
            send_marker(on.kafka, last, int(time.time()))
            behind = reader.wait_for(last, _WAIT_S)
            time.sleep(3.0)  # the last alerts of other partitions
            took_s = latencies_s(json.loads(sent_to.read_text()), reader.seen)
            span_s = end - begin
            row.uploads_per_s = round(said["sent"] / said["took_s"])
            row.fixes_per_s = round(said["sent"] * per_upload / said["took_s"])
            cpu_s = meter.cpu_s(begin, end)
            row.cores = round(cpu_s / span_s, 2)
            row.cpu_us_per_fix = round(cpu_s / (said["sent"] * per_upload) * 1e6, 2)
            row.broker_cores = round(broker.cpu_s(begin, end) / span_s, 2)
            row.busy_cores = round(meter.busy_cores(begin, end), 2)
            row.peak_mb = round(sum(meter.peak_mb.values()))
            row.alerts = len(took_s)
            row.p50_s, row.p99_s = percentile(took_s, 50), percentile(took_s, 99)
            row.worst_s = percentile(took_s, 100)
            row.lag_most = max(lag.lags, default=None)
            if behind is None:
                row.note = "it never came up with the load"
        self.keep(row)


def crossing_live(people: int) -> float:
    """Give the share of people who cross: enough of them for a percentile."""
    return min(0.02, max(CROSSING_SHARE, 2_000 / people))


def rate(
    row: Row, course: list[tuple[float, int]], filled: Filled, meter: Meter, broker: Meter
) -> None:
    """Put into a row what its course tells."""
    row.peak_mb = round(sum(meter.peak_mb.values()))
    found = pace_of(course, filled.messages)
    if found is None:
        row.note = row.note or "too short to tell"
        return
    fixes = found.messages * filled.fixes / filled.messages
    span_s = found.end - found.begin
    cpu_s = meter.cpu_s(found.begin, found.end)
    row.uploads_per_s = round(found.per_s)
    row.fixes_per_s = round(fixes / span_s)
    row.cpu_us_per_fix = round(cpu_s / fixes * 1e6, 2)
    row.cores = round(cpu_s / span_s, 2)
    row.broker_cores = round(broker.cpu_s(found.begin, found.end) / span_s, 2)
    row.busy_cores = round(meter.busy_cores(found.begin, found.end), 2)


def measure(bench: Bench) -> None:
    """Do all that was asked for."""
    options = bench.options
    half: dict[int, float] = {}
    for people in options.people:
        for per_upload in options.per_upload:
            filled = bench.fill(people, per_upload)
            group = ""
            for processes in options.processes:
                row, own = bench.drain(filled, people, per_upload, processes, clock="recording")
                if processes == 1:
                    group = own
                    half.setdefault(per_upload, (row.uploads_per_s or 0) / 2)
            if people == options.people[0]:
                bench.peers(filled, people, per_upload)
            if group and per_upload == 1 and "recover" in options.parts:
                bench.recover(group, people, clock="recording")
    if "live" in options.parts:
        for people, per_upload, rate_per_s in lives(options, half):
            filled = bench.fill(people, 1, live=True)
            row, group = bench.drain(filled, people, 1, 1, clock="wall")
            row.note = row.note or "by the time of day"
            bench.live(group, people, per_upload, rate_per_s)


def lives(options: argparse.Namespace, half: dict[int, float]) -> Iterator[tuple[int, int, float]]:
    """Give people, fixes in an upload, and uploads a second of what is to be measured live."""
    if options.rate:
        yield options.people[-1], (options.per_upload or [1])[-1], options.rate
        return
    for per_upload, rate_per_s in half.items():
        # Nobody sends more than a fix a second.
        people = [p for p in options.people if p / max(rate_per_s, 1.0) / per_upload >= 1]
        if rate_per_s and people:
            yield people[0], per_upload, rate_per_s
    if options.people[-1] >= 1_000_000:
        yield options.people[-1], 1, options.people[-1] / 60


def numbers(text: str) -> list[int]:
    """Read numbers with commas between them."""
    return [int(part) for part in text.split(",") if part]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--people", type=numbers, default=[11_000, 100_000, 1_000_000])
    parser.add_argument("--per-upload", type=numbers, default=[1, 10, 50], help="fixes in one")
    parser.add_argument("--processes", type=numbers, default=[1, 2], help="workers of a drain")
    parser.add_argument("--messages", type=int, default=0, help="of a fill; 0: by its fixes")
    parser.add_argument("--gcj02", type=float, default=0.1, help="share of people with GCJ-02")
    parser.add_argument("--peers", type=lambda t: t.split(",") if t else [], default=list(PEERS))
    parser.add_argument("--parts", default="recover,live", help="what is done besides drains")
    parser.add_argument("--rate", type=float, default=0, help="uploads a second, live; 0: several")
    parser.add_argument("--seconds", type=float, default=120, help="of each live run")
    parser.add_argument("--limit", type=float, default=30, help="seconds for each peer")
    parser.add_argument("--drain", type=float, default=400, help="seconds for each drain at most")
    parser.add_argument("--partitions", type=int, default=PARTITIONS)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the workers"
    )
    parser.add_argument("--json", type=Path, help="file that rows are added to")
    parser.add_argument("--quick", action="store_true", help="only whether everything works")
    options = parser.parse_args()
    if options.quick:
        options.people, options.per_upload, options.processes = [11_000], [1, 10], [1]
        options.messages, options.seconds, options.limit = 44_000, 10, 5
        options.rate = 2_000
    # Whatever was started is ended, when this is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with stage(options.partitions, dict(setting.split("=") for setting in options.set)) as on:
        options.tile38 = on.folder
        bench = Bench(on, options)
        try:
            measure(bench)
        finally:
            about = machine()
            print(
                f"{about['machine']}, commit {about['commit']}, Python {about['python']},", end=""
            )
            print(f" Kafka {NEWEST} (one broker, {on.partitions} partitions),", end=" ")
            print(", ".join(f"{package} {version(package)}" for package in _PACKAGES))
            print(f"Settings of the workers beside the defaults: {on.settings or 'none'};", end=" ")
            print(f"load average {os.getloadavg()[0]:.1f}, {platform.platform()}\n")
            print("\n".join(table(bench.rows)), flush=True)


if __name__ == "__main__":
    main()
