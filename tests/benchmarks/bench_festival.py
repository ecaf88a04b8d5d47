"""The whole city's festival: what was told, how late, how much state, how fast.

    python tests/benchmarks/bench_festival.py DIR [--jobs N] [--faust N]

DIR holds the recording (made there when it is missing: some minutes, some 700 MB). Prints machine
and commit, the report's three numbers, what was missed and what was false by kind, delays by kind
and device, bytes of state a person, and fixes a second with the peak memory of one process. With
`--faust N`, N of its people also go through broker, Faust and Redis, and the ids are compared.
"""

from __future__ import annotations

import asyncio
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from festival.almanac import BEGIN_S, END_S  # noqa: E402
from festival.sampling import record_all, sample_plans  # noqa: E402
from festival.stream import through_faust  # noqa: E402
from festival.verdict import ABSENCES, Verdict, episodes_of, facts_of, judge  # noqa: E402

from geomon.core.person import freeze  # noqa: E402
from geomon.intake import Intake, Raw  # noqa: E402
from geomon.replay import Replay, open_recording, read_recording  # noqa: E402
from geomon.report import summarise  # noqa: E402
from geomon.settings import Settings, rules_from  # noqa: E402
from geomon.zones.index import zones_for  # noqa: E402

DAYS = (END_S - BEGIN_S) / 86_400
PERCENTILES = (50, 95, 99, 100)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--jobs", default=2, show_default=True, help="Processes to make the recording with.")
@click.option("--faust", default=0, metavar="N", help="Send N people through the worker as well.")
@click.option("--keep", type=click.Path(path_type=Path), help="Write the alerts to this file.")
def main(folder: Path, jobs: int, faust: int, keep: Path | None) -> None:
    """Judge the festival of DIR."""
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    print(f"commit {commit}, Python {platform.python_version()}, {platform.processor() or _cpu()}")
    if not (folder / "truth.ndjson").exists():
        make = [sys.executable, "-m", "tests.festival", "--out", str(folder), "--jobs", str(jobs)]
        subprocess.run(make, cwd=ROOT, check=True)
    people = _rows(folder / "people.ndjson")
    replay, alerts, took_s = _replay(folder)
    if keep:
        keep.write_bytes(b"".join(msgspec.json.encode(alert) + b"\n" for alert in alerts))
    _tell_speed(replay, took_s)
    _tell_state(replay)
    report = summarise(alerts, BEGIN_S, END_S, len(people)).total
    print("report:", {category: len(found) for category, found in report.breaches.items()})
    facts = facts_of(_rows(folder / "truth.ndjson"))
    breaches = {f.supervisee_id for f in facts if f.breach}
    told = {b.supervisee_id for found in report.breaches.values() for b in found}
    print(f"exactly those {len(breaches)} people: {told == breaches}")
    verdict = judge(facts, episodes_of(alerts))
    _tell_verdict(verdict, len(people))
    _tell_delays(verdict, {row["id"]: row["level"] for row in people})
    if faust:
        _tell_faust(faust)


def _replay(folder: Path) -> tuple[Replay, list[dict[str, Any]], float]:
    replay = Replay(Intake(zones_for("440300")), rules_from(Settings()))
    begun = time.perf_counter()
    alerts = [*replay.feed(_lines(folder)), *replay.finish()]
    return replay, alerts, time.perf_counter() - begun


def _lines(folder: Path) -> Iterator[Raw]:
    for path in sorted(folder.glob("2024-*.ndjson.gz")):
        with open_recording(str(path)) as stream:
            yield from read_recording(stream, path.name)


def _tell_speed(replay: Replay, took_s: float) -> None:
    events, fixes = replay.counts["events"], replay.counts["fixes"]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{events:,} events, {fixes:,} fixes of {len(replay.people):,} people in {took_s:,.0f} s: "
        f"{events / took_s:,.0f} events/s, {fixes / took_s:,.0f} fixes/s; peak {peak_mb:,.0f} MB"
    )
    print("refused:", dict(replay.rejections))


def _tell_state(replay: Replay) -> None:
    for name, banded in (("phone only", False), ("with a wristband", True)):
        sizes = sorted(
            len(freeze(person))
            for person in replay.people.values()
            if bool(person.devices[1].heard_s) == banded
        )
        shown = ", ".join(
            f"p{share} {sizes[min(len(sizes) * share // 100, len(sizes) - 1)]:,}"
            for share in PERCENTILES
        )
        print(f"state, bytes a person, {name}: mean {sum(sizes) / len(sizes):,.0f}, {shown}")


def _tell_verdict(verdict: Verdict, people: int) -> None:
    print(f"{'kind':18}{'true':>7}{'missed':>8}{'false':>7}{'alarms a person-day':>21}")
    for kind in sorted({*verdict.found, *verdict.missed, *verdict.false}):
        true = len(verdict.found[kind]) + len(verdict.missed[kind])
        rate = verdict.alarms[kind] / people / DAYS
        missed, false = len(verdict.missed[kind]), len(verdict.false[kind])
        print(f"{kind:18}{true:7,}{missed:8,}{false:7,}{rate:21.5f}")
    others = sum(n for kind, n in verdict.alarms.items() if kind not in ABSENCES)
    print(f"alarms of all other kinds a person-day: {others / people / DAYS:.4f}")
    for kind in ABSENCES:
        for episode in verdict.false[kind]:
            print("false:", episode)
    for _, facts in sorted(verdict.missed.items()):
        for fact in facts:
            print("missed:", fact)


def _tell_delays(verdict: Verdict, levels: dict[str, str]) -> None:
    print(f"{'delay, minutes':18}{'device':>10}{'facts':>7}{'median':>8}{'p95':>8}")
    for (kind, device), delay in verdict.delays(levels).items():
        median, p95 = delay.median_s / 60, delay.p95_s / 60
        print(f"{kind:18}{device:>10}{delay.count:7,}{median:8.1f}{p95:8.1f}")


def _tell_faust(number: int) -> None:
    lines, truth = record_all(sample_plans(number))
    zones = zones_for("440300")
    replay = Replay(Intake(zones), rules_from(Settings()))
    wanted = [*replay.feed(Raw(line, "sample") for line in lines), *replay.finish()]
    begun = time.perf_counter()
    end_s = replay.end_s + Settings().settle_s
    told = asyncio.run(through_faust(lines, zones, end_s=end_s))
    took_s = time.perf_counter() - begun
    same = sorted(a["id"] for a in told) == sorted(a["id"] for a in wanted)
    print(
        f"through Faust: {number} people, {sum(f['breach'] for f in truth)} breaches, "
        f"{len(lines):,} events in {took_s:,.0f} s, {len(told):,} alerts, same ids: {same}"
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown processor"


if __name__ == "__main__":
    main()
