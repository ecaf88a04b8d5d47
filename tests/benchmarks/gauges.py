"""What is read off while something runs: processor time, memory, progress, alerts, lag.

Every gauge notes the time of day (`time.time`), which all processes of a machine share, so that
what one process did can be set against what another saw.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.request import urlopen

import numpy as np
import redis
from load import Filled

_SAMPLE_S = 0.1
_LAG = "geomon_consumer_lag_messages{"
_TICKS = os.sysconf("SC_CLK_TCK")
#: Of what there is to do, the part that is timed: the beginning is warming up, and at the end
#: partitions run empty one after the other.
WINDOW = (0.05, 0.95)


class Sample(NamedTuple):
    """A process's time so far and memory at one moment."""

    at: float
    cpu_s: float
    rss_mb: float


class Meter:
    """Looks at some processes ten times a second, by /proc, until they are gone or it is closed."""

    def __init__(self, pids: Sequence[int]) -> None:
        self.samples: dict[int, list[Sample]] = {pid: [] for pid in pids}
        self.peak_mb: dict[int, float] = dict.fromkeys(pids, 0.0)
        self._machine: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Meter:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def cpu_s(self, begin: float, end: float) -> float:
        """Give the time of the processor that all of them took between two moments, s."""
        return sum(
            _at(samples, end) - _at(samples, begin) for samples in self.samples.values() if samples
        )

    def busy_cores(self, begin: float, end: float) -> float:
        """Give how many processors of the machine were busy, with whatever, between two moments."""
        at = [moment for moment, _ in self._machine]
        busy_s = [seconds_ for _, seconds_ in self._machine]
        first, last = np.interp([begin, end], at, busy_s)
        return float(last - first) / (end - begin)

    def rss_mb(self, at: float) -> float:
        """Give their memory at a moment, MB."""
        found = 0.0
        for samples in self.samples.values():
            before = [sample for sample in samples if sample.at <= at] or samples[:1]
            found += before[-1].rss_mb if before else 0.0
        return found

    def _run(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            self._look()

    def _look(self) -> None:
        user, nice, system, _idle, _wait, *interrupts = map(
            int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
        )
        busy = user + nice + system + sum(interrupts)
        self._machine.append((time.time(), busy / _TICKS))
        for pid, samples in self.samples.items():
            try:
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            memory = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
            if "VmRSS" not in memory:
                continue  # it has just ended
            cpu_s = (int(stat[11]) + int(stat[12])) / _TICKS
            samples.append(Sample(time.time(), cpu_s, int(memory["VmRSS"].split()[0]) / 1024))
            self.peak_mb[pid] = int(memory["VmHWM"].split()[0]) / 1024


def _at(samples: Sequence[Sample], at: float) -> float:
    return float(np.interp(at, [s.at for s in samples], [s.cpu_s for s in samples]))


@dataclass(frozen=True)
class Pace:
    """A stretch of a course that was measured: from when to when, and what was done in it."""

    begin: float
    end: float
    messages: float

    @property
    def per_s(self) -> float:
        """Messages a second."""
        return self.messages / (self.end - self.begin)


def pace_of(course: Sequence[tuple[float, int]], total: int) -> Pace | None:
    """Give the pace in the middle of a course: moments, and how many messages were done by then.

    None when the course is too short to tell. One that was broken off counts as far as it went.
    """
    done = [(at, count) for at, count in course if count]
    if len(done) < 3:
        return None
    at = np.array([moment for moment, _ in done])
    counts = np.array([count for _, count in done], dtype=float)
    reached = min(total, counts[-1])
    low = max(counts[0], WINDOW[0] * reached)
    high = WINDOW[1] * reached
    # The first moment at which so many were done.
    begin, end = (float(np.interp(n, counts, at)) for n in (low, high))
    return Pace(begin, end, high - low) if end > begin else None


class Seen(NamedTuple):
    """An alert as a subscriber met it."""

    at: float
    subject: str
    kind: str
    phase: str
    fix_s: float  # time of the deciding fix; 0 = none


class AlertReader:
    """A subscriber to the log of alerts in Redis, in a thread of its own."""

    def __init__(self, url: str) -> None:
        self.seen: list[Seen] = []
        self._redis = redis.Redis.from_url(url)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> AlertReader:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._redis.close()

    def wait_for(self, subject: str, timeout_s: float) -> float | None:
        """Wait until something is told of this person; give the moment, None: it took longer."""
        deadline = time.monotonic() + timeout_s
        looked = 0
        while time.monotonic() < deadline:
            while looked < len(self.seen):
                if self.seen[looked].subject == subject:
                    return self.seen[looked].at
                looked += 1
            time.sleep(0.01)
        return None

    def course(self, filled: Filled) -> list[tuple[float, int]]:
        """Give how many messages of a fill were judged when, as its markers tell."""
        judged: dict[int, int] = {}
        course = []
        for alert in list(self.seen):
            marker = filled.markers.get(alert.subject)
            if marker is not None:
                judged[marker.partition] = max(judged.get(marker.partition, 0), marker.judged)
                course.append((alert.at, sum(judged.values())))
        return course

    def _run(self) -> None:
        last: Any = "0"
        while not self._stop.is_set():
            answer: Any = self._redis.xread({"geomon:alerts:log": last}, count=1000, block=100)
            at = time.time()
            for _, entries in answer or ():
                for _, fields in entries:
                    self._note(at, json.loads(fields[b"event"]))
                last = entries[-1][0]

    def _note(self, at: float, alert: dict[str, Any]) -> None:
        data = alert["data"]
        position = data.get("position") or {}
        fix_s = seconds(position["time"]) if "time" in position else 0.0
        self.seen.append(Seen(at, alert["subject"], data["kind"], data["phase"], fix_s))


def seconds(text: str) -> float:
    """Give a time in UTC as alerts carry it, as POSIX seconds."""
    return float(np.datetime64(text.removesuffix("Z"), "ms").astype(np.int64)) / 1000


def latencies_s(sent: Sequence[tuple[int, int, float]], seen: Sequence[Seen]) -> list[float]:
    """Give how long each alert about a crossing person took, from the sending of its last fix."""
    sent_at: dict[str, list[tuple[int, float]]] = {}
    for who, fix_s, at in sent:
        sent_at.setdefault(f"SZ-{who:07d}", []).append((fix_s, at))
    took = []
    for alert in seen:
        if alert.kind != "leave_city" or not alert.fix_s:
            continue
        uploads = sent_at.get(alert.subject, ())
        # An upload holds fixes up to its newest: the first that is not older brought the fix.
        moments = [at for fix_s, at in uploads if fix_s >= alert.fix_s]
        if moments and sent_at[alert.subject][0][0] <= alert.fix_s:
            took.append(alert.at - moments[0])
    return took


class LagReader:
    """Asks a worker's metrics once a second how many messages wait to be judged."""

    def __init__(self, address: str) -> None:
        self.lags: list[int] = []
        self._url = f"http://{address}/metrics"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> LagReader:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            with suppress(OSError), urlopen(self._url, timeout=5) as answer:  # noqa: S310
                lines = answer.read().decode().splitlines()
                found = [line.split()[-1] for line in lines if line.startswith(_LAG)]
                if found:
                    self.lags.append(round(sum(map(float, found))))


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Give a percentile, None of nothing."""
    return round(float(np.percentile(values, percent)), 3) if values else None


def end(*processes: subprocess.Popen[Any], timeout_s: float = 60.0) -> None:
    """Ask processes to end, and make those that do not."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
