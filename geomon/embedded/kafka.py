"""A real Apache Kafka of one's own (KRaft), for development and for tests.

Its programs come by Maven (`jars.py`), and each node is a Java process that cannot outlive this
one (`guard.py`). What it is not: safe, for anybody on this machine may connect; nor a cluster to
rely on, for all of its nodes end with one machine.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import struct
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from geomon.embedded.guard import Guard
from geomon.embedded.jars import NEWEST, OLDER, Java, find_java, kafka_jars
from geomon.errors import UnavailableError

__all__ = ["NEWEST", "OLDER", "QUICK_JVM", "STEADY_JVM", "KafkaCluster"]

#: For tests: up in half the time, at the price of throughput when it runs for long.
QUICK_JVM = ("-Xms128m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
#: For load: the whole compiler, and a collector that does not stop everything for long.
STEADY_JVM = ("-Xms512m", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20")

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
TICK_S = 0.02  # between two questions while a node starts; its death ends the wait at once
PORT_ATTEMPTS = 5
CONTROLLERS_MOST = 3
# Below the range that the system hands out to clients (32768 on): while a node is down, no
# connection, not even one from its port to itself, may take its port.
PORTS = range(20000, 32000)
CLUSTER_ID = "Z2VvbW9uLWRldi1rYWZrYQ"  # 16 bytes in base64, as Kafka wants it
ARCHIVES_FROM_JAVA = 13
METADATA = 3  # the API key of the one request that is made here


class KafkaCluster:
    """`brokers` nodes of Apache Kafka on ports of 127.0.0.1, started on entry, gone on exit.

        with KafkaCluster(brokers=3) as cluster:
            producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap)

    Nodes are numbered from 1. The first three (with fewer than three, the first) are controllers
    as well. Topics are kept on three nodes, or as many as there are, and with three a write needs
    two of them; topics are not made by asking about them.

    Everything lies in a folder that is removed at the end, unless `directory` names one: a later
    cluster on the same folder has the same data. `settings` are properties of the servers, beside
    and before those set here. `port` is that of the first node (the next has the next); 0 takes
    free ones. A node keeps its port as long as this object lives. `jvm` are options of Java.

    Methods raise `UnavailableError` when Java, Maven or the jars cannot be had, or when a node
    does not come up; its text is one line.
    """

    def __init__(
        self,
        brokers: int = 1,
        *,
        version: str = NEWEST,
        directory: Path | None = None,
        settings: Mapping[str, str] | None = None,
        port: int = 0,
        jvm: Sequence[str] = QUICK_JVM,
    ) -> None:
        if brokers < 1:
            raise ValueError(f"a cluster of {brokers} brokers")
        self.version = version
        self.numbers = range(1, brokers + 1)
        self._directory = directory
        self._settings = dict(settings or {})
        self._port = port
        self._jvm = tuple(jvm)
        self._ports: dict[int, int] = {}
        self._controllers: dict[int, int] = {}
        self._home: Path | None = None
        self._guards: dict[int, Guard] = {}
        self._said: dict[int, int] = {}  # node -> length of its log before this run of it
        self._java: Java | None = None
        self._jars = Path()
        self._archiving: tuple[Path, Path] | None = None

    def __enter__(self) -> KafkaCluster:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """Where clients find it: `127.0.0.1:PORT,...`, every node, running or not."""
        if self._home is None:
            raise UnavailableError("this Kafka is not running")
        return ",".join(f"127.0.0.1:{self._ports[n]}" for n in self.numbers)

    @property
    def home(self) -> Path:
        """The folder of its data: `node-N/` each, with `kafka.log`, what the node complained of."""
        if self._home is None:
            raise UnavailableError("this Kafka is not running")
        return self._home

    def start(self) -> None:
        """Start all nodes and wait until each knows of all the others."""
        if self._home is not None:
            raise UnavailableError("this Kafka is running already")
        self._java = find_java(self.version)
        self._jars = kafka_jars(self.version)
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                self._start()
            except UnavailableError as error:
                self.stop()
                # Another program can take a free port between our look and the node's bind.
                if attempt < PORT_ATTEMPTS and not self._port and "in use" in str(error):
                    self._ports.clear()
                    continue
                raise
            except BaseException:
                self.stop()
                raise
            return

    def stop(self) -> None:
        """Stop all nodes and wait; harmless when not running.

        What is to be kept is put away cleanly (SIGTERM, SIGKILL after 20 s); else they are killed.
        """
        clean = dict(self._guards) if self._directory is not None else {}
        if self._archiving and 1 in self._guards:
            clean[1] = self._guards[1]
        for guard in clean.values():
            guard.signal(signal.SIGCONT)
            guard.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        in_time = {n: g.ended(max(0.0, deadline - time.monotonic())) for n, g in clean.items()}
        for guard in self._guards.values():
            guard.let_go()
        self._guards.clear()
        self._keep_archive(whole=in_time.get(1, False))
        if self._home is not None and self._directory is None:
            shutil.rmtree(self._home, ignore_errors=True)  # the guards' `rm` may not be on PATH
        self._home = None

    def pid(self, number: int) -> int:
        """Process id of a node; 0 while it is not running."""
        guard = self._guards.get(self._known(number))
        return 0 if guard is None or guard.ended() else guard.pid

    def kill(self, number: int) -> None:
        """Kill a node as a power cut would (SIGKILL) and wait until it is gone."""
        guard = self._guards.pop(self._known(number), None)
        if guard is None:
            return
        guard.signal(signal.SIGKILL)
        guard.ended(STOP_TIMEOUT_S)
        guard.let_go(keep=True)

    def start_broker(self, *numbers: int) -> None:
        """Start nodes again, with the data and the ports they had; wait until they take requests.

        Nodes that are needed for a quorum must be started by one call: none comes up alone.
        """
        for number in numbers:
            if self.pid(number):
                raise UnavailableError(f"broker {number} is running already")
        for number in numbers:
            self.kill(number)  # what is left of it
        self._launch(*numbers)
        for number in numbers:
            self._wait_for(number, set(numbers))

    def pause(self, number: int) -> None:
        """Let a node stand still (SIGSTOP), connections and all, until `resume`."""
        self._running(number).freeze(STOP_TIMEOUT_S)

    def resume(self, number: int) -> None:
        """Let a paused node go on (SIGCONT)."""
        self._running(number).signal(signal.SIGCONT)

    def check(self) -> None:
        """Raise `UnavailableError` with its last words when a node has ended by itself."""
        for number, guard in self._guards.items():
            if guard.ended():
                raise UnavailableError(f"broker {number} ended: {self._last_words(number)}")

    def _start(self) -> None:
        if self._directory is None:
            self._home = Path(tempfile.mkdtemp(prefix="geomon-kafka-"))
        else:
            self._home = self._directory.resolve()
            self._home.mkdir(parents=True, exist_ok=True)
        if not self._ports:
            fixed = [self._port + n - 1 for n in self.numbers] if self._port else []
            count = len(self.numbers)
            free = _free_ports(2 * count)
            self._ports = dict(zip(self.numbers, fixed or free, strict=False))
            self._controllers = dict(zip(self._voters(), free[count:], strict=False))
        self._launch(*self.numbers)
        for number in self.numbers:
            self._wait_for(number, set(self.numbers))

    def _voters(self) -> range:
        count = len(self.numbers)
        return self.numbers[: CONTROLLERS_MOST if count >= CONTROLLERS_MOST else 1]

    def _launch(self, *numbers: int) -> None:
        """Start nodes, each formatted first when its folder is new; wait for nothing else."""
        assert self._home is not None  # noqa: S101
        formatting = {}
        for n in numbers:
            node = self._home / f"node-{n}"
            node.mkdir(exist_ok=True)
            (node / "server.properties").write_text(self._properties(n, node))
            if not (node / "data" / "meta.properties").exists():
                options = [*QUICK_JVM, *self._archive(0)]
                command = self._command(*options, "kafka.tools.StorageTool", "format")
                command += ["-t", CLUSTER_ID, "-c", str(node / "server.properties")]
                formatting[n] = Guard(command, node / "format.log", *self._scratch(n))
        try:
            for n, guard in formatting.items():
                if not guard.ended(START_TIMEOUT_S):
                    raise UnavailableError(f"broker {n} was not formatted in {START_TIMEOUT_S:g} s")
                if not (self._home / f"node-{n}" / "data" / "meta.properties").exists():
                    words = self._last_words(n, "format.log")
                    raise UnavailableError(f"broker {n} was not formatted: {words}")
        finally:
            for guard in formatting.values():
                guard.signal(signal.SIGKILL)
                guard.ended(STOP_TIMEOUT_S)
                guard.let_go(keep=True)
        for n in numbers:
            node = self._home / f"node-{n}"
            log = node / "kafka.log"
            self._said[n] = log.stat().st_size if log.exists() else 0
            options = [*self._jvm, f"-XX:ErrorFile={node}/hs_err.log", *self._archive(n)]
            command = self._command(*options, "kafka.Kafka", str(node / "server.properties"))
            self._guards[n] = Guard(command, log, *self._scratch(n))

    def _scratch(self, number: int) -> tuple[Path, Path] | tuple[()]:
        """Give what goes with a node: its folder, and with the last one's the folder above."""
        return () if self._directory else (self.home / f"node-{number}", self.home)

    def _command(self, *words: str) -> list[str]:
        assert self._java is not None  # noqa: S101
        log = "-Dorg.slf4j.simpleLogger."
        return [
            self._java.binary,
            *(f"{log}defaultLogLevel=warn", f"{log}showDateTime=true"),
            f"{log}dateTimeFormat=yyyy-MM-dd HH:mm:ss,SSS",
            *("-cp", f"{self._jars}/*"),
            *words,
        ]

    def _archive(self, number: int) -> list[str]:
        """Options for Java's archive of loaded classes: with it a node starts in half the time.

        The first node that ever runs on these jars and this Java leaves it when it ends.
        """
        assert self._java is not None  # noqa: S101
        archive = self._jars / f"classes-{self._java.version}.jsa"
        quietly = ["-XX:+IgnoreUnrecognizedVMOptions", "-Xlog:disable", "-Xlog:all=error:stderr"]
        if self._java.major < ARCHIVES_FROM_JAVA:
            return []
        if archive.exists():
            return [f"-XX:SharedArchiveFile={archive}", *quietly]
        if number != 1 or self._archiving or not os.access(self._jars, os.W_OK):
            return []
        made = self._jars / f".classes-{os.getpid()}-{secrets.token_hex(4)}.jsa"
        self._archiving = (made, archive)
        return [f"-XX:ArchiveClassesAtExit={made}", *quietly]

    def _keep_archive(self, *, whole: bool) -> None:
        if self._archiving is None:
            return
        (made, archive), self._archiving = self._archiving, None
        if whole and made.exists():
            made.replace(archive)
        made.unlink(missing_ok=True)

    def _properties(self, number: int, node: Path) -> str:
        """Give a node's server.properties."""
        voters = self._voters()
        listeners = [f"PLAINTEXT://127.0.0.1:{self._ports[number]}"]
        if number in voters:
            listeners.append(f"CONTROLLER://127.0.0.1:{self._controllers[number]}")
        copies = min(3, len(self.numbers))
        needed = 2 if copies == 3 else 1
        properties = {
            "process.roles": "broker,controller" if number in voters else "broker",
            "node.id": number,
            "controller.quorum.voters": ",".join(
                f"{n}@127.0.0.1:{self._controllers[n]}" for n in voters
            ),
            "listeners": ",".join(listeners),
            "advertised.listeners": listeners[0],
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": node / "data",
            "auto.create.topics.enable": "false",
            "default.replication.factor": copies,
            "min.insync.replicas": needed,
            # Kafka's own topics have 50 partitions, each with files, where 4 will do.
            "offsets.topic.num.partitions": 4,
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": needed,
            # A first member need not wait 3 s for others.
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            # A node that was killed is let in again only when its former self is held for dead:
            # after 3 s, not 9.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            # 128 MB for compaction is a quarter of the whole heap.
            "log.cleaner.dedupe.buffer.size": 16 << 20,
            **self._settings,
        }
        return "".join(f"{name}={value}\n" for name, value in properties.items())

    def _wait_for(self, number: int, others: set[int]) -> None:
        """Wait until a node takes requests and knows all of the others."""
        guard = self._guards[number]
        deadline = time.monotonic() + START_TIMEOUT_S
        while not others <= _brokers_known_at(self._ports[number]):
            if guard.ended(TICK_S):
                raise UnavailableError(f"broker {number} did not start: {self._last_words(number)}")
            if time.monotonic() > deadline:
                raise UnavailableError(f"broker {number} did not answer in {START_TIMEOUT_S:g} s")

    def _last_words(self, number: int, name: str = "kafka.log") -> str:
        """Give the line of this run's log that tells most."""
        log = self.home / f"node-{number}" / name
        text = log.read_bytes()[self._said.get(number, 0) if name == "kafka.log" else 0 :]
        lines = [line.strip() for line in text.decode(errors="replace").splitlines()]
        said = [line for line in lines if line and not line.startswith("at ")]
        port_taken = [line for line in said if "Address already in use" in line]
        causes = [line for line in said if re.search(r"Exception|Error\b|ERROR", line)]
        return (port_taken or causes or said or ["it said nothing"])[-1]

    def _known(self, number: int) -> int:
        if number not in self.numbers:
            raise ValueError(f"no broker {number}: there are 1 to {len(self.numbers)}")
        return number

    def _running(self, number: int) -> Guard:
        if not self.pid(number):
            raise UnavailableError(f"broker {number} is not running")
        return self._guards[number]


def _brokers_known_at(port: int) -> set[int]:
    """Ask the node at a port for the nodes of its cluster (Metadata, version 1); {} = no answer."""
    # API key, version, correlation id, no client id; then an empty list of topics.
    request = struct.pack(">hhihi", METADATA, 1, 0, -1, 0)
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0) as door:
            door.settimeout(2.0)
            door.sendall(struct.pack(">i", len(request)) + request)
            with door.makefile("rb") as answer:
                return set(_node_ids(answer.read(struct.unpack(">i", answer.read(4))[0])))
    except (OSError, struct.error):  # not there yet, or gone while it was asked
        return set()


def _node_ids(answer: bytes) -> Iterator[int]:
    """Read the nodes of an answer: correlation id, then id, host, port and rack (or null) each."""
    (count,) = struct.unpack_from(">i", answer, 4)
    at = 8
    for _ in range(count):
        (node,) = struct.unpack_from(">i", answer, at)
        at += 4 + 2 + struct.unpack_from(">h", answer, at + 4)[0] + 4  # id, host, port
        at += 2 + max(0, struct.unpack_from(">h", answer, at)[0])  # rack
        yield node


def _free_ports(count: int) -> list[int]:
    """Find ports that nobody listens at now."""
    found: set[int] = set()
    while len(found) < count:
        port = PORTS[secrets.randbelow(len(PORTS))]
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as door:
            try:
                door.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.add(port)
    return list(found)
