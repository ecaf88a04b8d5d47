"""What one gateway process takes in through a real Kafka, beside a bare handler, in one run.

    python tests/benchmarks/bench_gateway.py [--quick] [--connections N,N] [--rounds N] ...

One broker, the gateway, the bare handler (`barehandler.py`: aiohttp, which awaits Kafka with
acks=all and does nothing else) and those who call (`callers.py`) share this machine, each in
processes of their own. Prints tables in Markdown with the machine, the commit and versions;
progress goes to standard error.

*full*    each device sends the next upload as soon as the last is answered. Rounds of the bare
          handler and of the gateway alternate; what is told is the median of the rounds. Requests
          and connections are the same for both; terminals (JT/T 808, one position a message) are
          set against the bare handler with as many connections of phones.
*paced*   half as many uploads a second as the slower of the two took: how long answers take where
          nothing is filled up. It counts from when an upload was due.
*new*     phones that connect, send one upload and hang up, 50 a second, while so many others send
          at full speed: how long each takes from its first packet to its answer.
*idle*    terminals that have signed in and say nothing: what they cost in memory, and whether the
          gateway still answers others, and each of them.

Processor time is that of the gateway or the handler alone, an upload: where others fill the
machine, rates say little and this says more. `of bare` is the ratio of rates, and in brackets of
processor time, the median of the rounds' ratios; 1 would be as cheap as doing nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench_zones import machine
from callers import devices_of, raise_limit
from confluent_kafka import Consumer, TopicPartition
from figures import line
from gauges import Meter, end

from geomon.cluster import Cluster
from geomon.embedded.kafka import NEWEST, STEADY_JVM, KafkaCluster
from geomon.errors import UnavailableError
from geomon.settings import Settings
from geomon.topics import EVENTS, REJECTED, wanted

HERE = Path(__file__).parent
PARTITIONS = 12
KINDS = ("native", "osmand", "jt808")
#: Phones that come in a second, to be measured among others.
NEWCOMERS_S = 50
_START_S = 60.0
#: Files that a gateway has open besides its connections.
_OTHER_FILES = 200
_PACKAGES = ("aiohttp", "aiokafka", "uvloop", "msgspec")


@dataclass
class Row:
    """One measurement; None = it was not measured."""

    part: str  # full, paced, new, idle
    server: str  # gateway, bare
    kind: str
    connections: int
    per_s: float | None = None
    cpu_us: float | None = None
    cores: float | None = None
    broker_cores: float | None = None
    busy_cores: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    worst_ms: float | None = None
    refused: int | None = None
    load: float | None = None  # average of the machine, when it was measured
    of_bare: float | None = None
    of_bare_cpu: float | None = None
    rss_mb: float | None = None
    bytes_each: float | None = None
    note: str = ""


class Server:
    """A gateway or a bare handler that runs, and where each kind of caller finds it."""

    def __init__(self, name: str, pid: int, addresses: dict[str, str]) -> None:
        self.name, self.pid, self.addresses = name, pid, addresses


class Bench:
    """Measures; rows are told as they come."""

    def __init__(self, kafka: KafkaCluster, folder: Path, options: argparse.Namespace) -> None:
        self.kafka, self.folder, self.options = kafka, folder, options
        self.rows: list[Row] = []
        self.acknowledged = 0

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

    def measured(
        self, on: Server, part: str, kind: str, connections: int, rate: float = 0.0
    ) -> Row:
        """Let devices call a server for a while; give what was seen."""
        options = self.options
        command = [
            *(sys.executable, str(HERE / "callers.py"), kind, on.addresses[kind]),
            *("--devices", str(connections), "--rate", str(rate)),
            *("--warm", str(options.warm), "--seconds", str(options.seconds)),
        ]
        with Meter([on.pid]) as meter, Meter([self.kafka.pid(1)]) as broker:
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(said)
        row = Row(part, on.name, kind, connections)
        begin, until, done = found["begin"], found["end"], found["done"]
        self.acknowledged += found["acknowledged"]
        row.refused = found["refused"] + found["lost"]
        row.load = round(os.getloadavg()[0], 1)
        if not done:
            row.note = f"nothing was answered: {found['bad']}"
            return row
        span_s, cpu_s = until - begin, meter.cpu_s(begin, until)
        row.per_s = round(done / span_s)
        row.cpu_us = round(cpu_s / done * 1e6, 1)
        row.cores = round(cpu_s / span_s, 2)
        row.broker_cores = round(broker.cpu_s(begin, until) / span_s, 2)
        row.busy_cores = round(meter.busy_cores(begin, until), 2)
        row.p50_ms, row.p99_ms, row.worst_ms = (
            found[name] for name in ("p50_ms", "p99_ms", "worst_ms")
        )
        return row

    def full(self, gateway: Server, bare: Server, kind: str, connections: int) -> None:
        """Measure both in turns, at full speed."""
        beside = kind if kind in bare.addresses else "native"
        ours, theirs = [], []
        for _ in range(self.options.rounds):
            theirs.append(self.measured(bare, "full", beside, connections))
            ours.append(self.measured(gateway, "full", kind, connections))
        row, other = median_of(ours), median_of(theirs)
        row.of_bare = ratio(row.per_s, other.per_s)
        by_cpu = [ratio(b.cpu_us, a.cpu_us) for a, b in zip(ours, theirs, strict=True)]
        row.of_bare_cpu = middle(by_cpu)
        other.note = other.note or (f"beside {kind}" if beside != kind else "")
        self.keep(other)
        self.keep(row)
        rate = min(row.per_s or 0, other.per_s or 0) / 2
        if rate and "paced" in self.options.parts:
            for server, what in ((bare, beside), (gateway, kind)):
                self.keep(self.measured(server, "paced", what, connections, rate))

    def newcomers(self, on: Server, connections: int) -> None:
        """Let phones come while others send at full speed."""
        options = self.options
        address = on.addresses["native"]
        callers = [sys.executable, str(HERE / "callers.py")]
        crowd = [*callers, "native", address, "--devices", str(connections)]
        crowd += ["--warm", str(options.warm), "--seconds", str(options.seconds + options.warm)]
        few = ["--devices", str(round(NEWCOMERS_S * options.seconds)), "--rate", str(NEWCOMERS_S)]
        with subprocess.Popen(crowd, stdout=subprocess.PIPE, text=True) as sending:
            time.sleep(2 * options.warm)
            said = subprocess.run(
                [*callers, "newcomers", address, *few], check=True, capture_output=True, text=True
            ).stdout
            told, _ = sending.communicate()
        found, beside = json.loads(said), json.loads(told)
        self.acknowledged += found["answered"] + beside["acknowledged"]
        row = Row("new", on.name, "native", connections)
        row.load = round(os.getloadavg()[0], 1)
        row.refused = found["came"] - found["answered"]
        row.p50_ms, row.p99_ms, row.worst_ms = (
            found.get(name) for name in ("p50_ms", "p99_ms", "worst_ms")
        )
        row.note = f"{found['came']} came; those who were there: p99 {beside['p99_ms']} ms"
        self.keep(row)

    def idle(self, settings: dict[str, str], devices: Path) -> None:
        """Let terminals sign in and say nothing."""
        many = min(self.options.idle, raise_limit() - _OTHER_FILES)
        row = Row("idle", "gateway", "jt808", many)
        row.load = round(os.getloadavg()[0], 1)
        with gateway_running(self.kafka.bootstrap, devices, self.folder, settings) as gateway:
            self.measured(gateway, "idle", "jt808", 8)  # what is made once is made
            before_mb = rss_mb(gateway.pid)
            command = [
                *(sys.executable, str(HERE / "callers.py"), "idle", gateway.addresses["jt808"]),
                *("--devices", str(many), "--first", "8"),
            ]
            with ExitStack() as stack:
                bands = stack.enter_context(
                    subprocess.Popen(
                        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                    )
                )
                stack.callback(end, bands)
                assert bands.stdin is not None
                assert bands.stdout is not None
                signed_in = json.loads(bands.stdout.readline() or '{"in": 0}')
                row.rss_mb = round(rss_mb(gateway.pid), 1)
                row.bytes_each = round((row.rss_mb - before_mb) * 2**20 / many)
                row.note = f"{signed_in['in']:,} signed in within {signed_in['took_s']} s"
                self.keep(row)
                for kind in ("native", "jt808"):
                    beside = self.measured(gateway, "idle", kind, 8)
                    beside.note = f"beside {many:,} that say nothing"
                    self.keep(beside)
                bands.stdin.write("ask\n")
                bands.stdin.flush()
                told = json.loads(bands.stdout.readline())
                self.acknowledged += told.get("answered", 0)
                asked = Row("idle", "gateway", "jt808", many)
                asked.p50_ms, asked.p99_ms = told.get("p50_ms"), told.get("p99_ms")
                asked.rss_mb = round(rss_mb(gateway.pid), 1)
                asked.note = (
                    f"then each sent a position: {told.get('answered', 0):,} answered, "
                    f"{told['lost']:,} were lost; at most {peak_mb(gateway.pid):.0f} MB"
                )
                self.keep(asked)
                bands.stdin.close()
                bands.wait(_START_S)


def measure(bench: Bench, devices: Path) -> None:
    """Do all that was asked for."""
    options = bench.options
    settings = dict(setting.split("=", 1) for setting in options.set)
    kafka = bench.kafka.bootstrap
    with (
        gateway_running(kafka, devices, bench.folder, settings) as gateway,
        bare_running(kafka, bench.folder) as bare,
    ):
        for connections in options.connections:
            for kind in options.kinds:
                bench.full(gateway, bare, kind, connections)
            if "new" in options.parts:
                for server in (bare, gateway):
                    bench.newcomers(server, connections)
    if "idle" in options.parts:
        bench.idle(settings, devices)


@contextmanager
def gateway_running(
    kafka: str, devices: Path, folder: Path, settings: dict[str, str]
) -> Iterator[Server]:
    """Run `geomon gateway run`, and wait until it is connected."""
    usual = {
        "GATEWAY_HTTP": "127.0.0.1:0",
        "GATEWAY_JT808": "127.0.0.1:0",
        "GATEWAY_WEB": "",
        "GATEWAY_REGISTRY": "file",
        "GATEWAY_DEVICES": str(devices),
        # One device here sends as a hundred, and all come from one address: they are counted as
        # always, and never reach their limit.
        "GATEWAY_DEVICE_RATE": "1000000",
        "GATEWAY_DEVICE_BURST": "1000000",
        "GATEWAY_ADDRESS_RATE": "1000000",
        "GATEWAY_ADDRESS_BURST": "1000000",
    }
    log = folder / f"gateway-{time.monotonic_ns()}.log"
    wanted = {f"GEOMON_{name}": value for name, value in {**usual, **settings}.items()}
    command = [sys.executable, "-m", "geomon", "gateway", "run", "--kafka", kafka]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **wanted}, stdout=file, stderr=file
        )
    try:
        found = {
            words: until(process, log, pattern)
            for words, pattern in (
                ("http", r"taking http at http://([\d.:]+)"),
                ("jt808", r"taking jt808 at tcp://([\d.:]+)"),
                ("kafka", r"(connected) to Kafka"),
            )
        }
        addresses = dict.fromkeys(("native", "osmand"), found["http"])
        yield Server("gateway", process.pid, addresses | {"jt808": found["jt808"]})
    finally:
        end(process)


@contextmanager
def bare_running(kafka: str, folder: Path) -> Iterator[Server]:
    """Run the bare handler."""
    log = folder / "bare.log"
    command = [sys.executable, str(HERE / "barehandler.py"), "--kafka", kafka, "--topic", EVENTS]
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=folder, stdout=file, stderr=file)
    try:
        address = until(process, log, r"(?m)^(127[\d.:]+)$")
        yield Server("bare", process.pid, dict.fromkeys(("native", "osmand"), address))
    finally:
        end(process)


def until(process: subprocess.Popen[bytes], log: Path, pattern: str) -> str:
    """Wait until a process has written something; give its first group."""
    deadline = time.monotonic() + _START_S
    while True:
        text = log.read_text(errors="replace")
        found = re.search(pattern, text)
        if found:
            return found[1]
        if process.poll() is not None or time.monotonic() > deadline:
            raise UnavailableError(f"{log.name} does not say {pattern!r}: {text[-500:]}")
        time.sleep(0.05)


def rss_mb(pid: int, name: str = "VmRSS") -> float:
    """Give the memory of a process, MB."""
    found = re.search(rf"(?m)^{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def peak_mb(pid: int) -> float:
    """Give the most memory that a process has had, MB."""
    return rss_mb(pid, "VmHWM")


def middle(values: Sequence[float | None]) -> float | None:
    """Give the median of what was measured."""
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 2) if known else None


def ratio(one: float | None, other: float | None) -> float | None:
    """Give one by the other."""
    return round(one / other, 2) if one and other else None


def median_of(rows: Sequence[Row]) -> Row:
    """Give a row with the median of each number; what was refused is added up."""
    names = ["per_s", "cpu_us", "cores", "broker_cores", "busy_cores", "load"]
    names += ["p50_ms", "p99_ms", "worst_ms"]
    middles: dict[str, Any] = {name: middle([getattr(row, name) for row in rows]) for name in names}
    notes = {row.note for row in rows if row.note}
    row = replace(rows[0], **middles, note="; ".join(sorted(notes)))
    row.refused = sum(each.refused or 0 for each in rows)
    return row


def written(kafka: str) -> int:
    """Give how many messages gateway and handler have written."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "bench-length"})
    try:
        known = consumer.list_topics(timeout=30).topics
        bounds = [
            consumer.get_watermark_offsets(TopicPartition(EVENTS, number), timeout=30)
            for number in known[EVENTS].partitions
        ]
    finally:
        consumer.close()
    return sum(high - low for low, high in bounds)


Column = tuple[str, Callable[[Row], Any]]


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Give the rows in Markdown."""
    columns: list[Column] = [
        ("", lambda r: r.part),
        ("server", lambda r: r.server),
        ("requests", lambda r: r.kind),
        ("connections", lambda r: r.connections),
        ("uploads/s", lambda r: r.per_s),
        ("CPU µs an upload", lambda r: r.cpu_us),
        ("of bare (by CPU)", lambda r: r.of_bare and f"{r.of_bare} ({r.of_bare_cpu})"),
        ("p50 ms", lambda r: r.p50_ms),
        ("p99 ms", lambda r: r.p99_ms),
        ("worst ms", lambda r: r.worst_ms),
        ("refused", lambda r: r.refused),
        (
            "cores (broker; machine)",
            lambda r: r.cores and f"{r.cores} ({r.broker_cores}; {r.busy_cores})",
        ),
        ("load", lambda r: r.load),
    ]
    memory: list[Column] = [
        *columns[:8],
        ("p99 ms", lambda r: r.p99_ms),
        ("MB", lambda r: r.rss_mb),
        ("B a connection", lambda r: r.bytes_each),
        ("load", lambda r: r.load),
        ("note", lambda r: r.note),
    ]
    del memory[6]  # nothing bare stands beside these
    for wanted_rows, shown in (
        ([row for row in rows if row.part != "idle"], [*columns, ("note", lambda r: r.note)]),
        ([row for row in rows if row.part == "idle"], memory),
    ):
        if wanted_rows:
            yield line(head for head, _ in shown)
            yield line("---" for _ in shown)
            yield from (line(cell(row) for _, cell in shown) for row in wanted_rows)
            yield ""


def numbers(text: str) -> list[int]:
    """Read numbers with commas between them."""
    return [int(part) for part in text.split(",") if part]


def make_topics(kafka: str) -> None:
    """Make the topics."""

    async def make() -> None:
        settings = replace(Settings(), kafka=kafka, partitions=PARTITIONS, replication=1)
        async with Cluster(kafka) as cluster:
            await cluster.make([f for f in wanted(settings) if f.name in {EVENTS, REJECTED}])

    asyncio.run(make())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--connections", type=numbers, default=[64, 1000])
    parser.add_argument("--kinds", type=lambda t: t.split(","), default=list(KINDS))
    parser.add_argument("--rounds", type=int, default=5, help="of each server at full speed")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each round")
    parser.add_argument("--warm", type=float, default=2.0, help="seconds before it counts")
    parser.add_argument("--parts", default="paced,new,idle", help="what is done besides full speed")
    parser.add_argument("--idle", type=int, default=10_000, help="terminals that say nothing")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a gateway's setting"
    )
    parser.add_argument("--json", type=Path, help="file that rows are added to")
    parser.add_argument("--quick", action="store_true", help="only whether everything works")
    options = parser.parse_args()
    if options.quick:
        options.connections, options.rounds, options.idle = [64], 2, 1_000
        options.seconds, options.warm = 2.0, 1.0
    raise_limit()
    # Whatever was started is ended, when this is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with (
        tempfile.TemporaryDirectory(prefix="geomon-bench-") as name,
        KafkaCluster(jvm=STEADY_JVM) as kafka,
    ):
        folder = Path(name)
        make_topics(kafka.bootstrap)
        devices = folder / "devices.ndjson"
        most = max([*options.connections, round(NEWCOMERS_S * options.seconds)])
        phones_and_bands = devices_of(most, max(most, options.idle + 8))
        devices.write_text("".join(f"{json.dumps(device)}\n" for device in phones_and_bands))
        bench = Bench(kafka, folder, options)
        try:
            measure(bench, devices)
        finally:
            about = machine()
            print(f"{about['machine']}, commit {about['commit']}, Python {about['python']},")
            print(f"Kafka {NEWEST} (one broker, {PARTITIONS} partitions),", end=" ")
            print(", ".join(f"{package} {version(package)}" for package in _PACKAGES))
            print(f"Settings of the gateway beside the defaults: {options.set or 'none'};", end=" ")
            print(f"load average {os.getloadavg()[0]:.1f}, {platform.platform()}")
            print(f"Acknowledged {bench.acknowledged:,}; in Kafka {written(kafka.bootstrap):,}\n")
            print("\n".join(table(bench.rows)), flush=True)


if __name__ == "__main__":
    main()
