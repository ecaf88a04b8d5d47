"""`geomon doctor`: whether everything that a worker leans on is as it should be."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from geomon.cli.options import city_option, config_option
from geomon.cli.output import json_option, print_rows, talk
from geomon.errors import UnavailableError
from geomon.settings import Settings, load

__all__ = ["doctor"]

EPILOG = """\b
Examples:
  geomon doctor
  geomon doctor --kafka kafka-1:9092 --redis redis://redis:6379/0 --json
"""


@click.command(epilog=EPILOG)
@click.option("--kafka", metavar="HOST:PORT,...", help="Default: the setting `kafka`.")
@click.option("--redis", metavar="URL", help="Default: the setting `redis`.")
@city_option
@config_option
@json_option
def doctor(
    kafka: str | None, redis: str | None, city: str | None, file: Path | None, as_json: bool
) -> None:
    """Check settings, zones, disk, Kafka, topics, Redis, clocks and canaries; say what to do.

    Exit 1 when something fails. Nothing is changed; one canary, which concerns nobody, is sent to
    each broker to learn what time it has.
    """
    settings, _ = load({"kafka": kafka, "redis": redis, "city": city}, file=file)
    failures, checks = asyncio.run(_examine(settings, as_json=as_json))
    if failures:
        raise UnavailableError(f"{failures} of {checks} checks failed")


async def _examine(settings: Settings, *, as_json: bool) -> tuple[int, int]:
    """Print the findings; give how many failed, and of how many."""
    from geomon.operations.doctor import examine  # noqa: PLC0415  (clients of Kafka and Redis)

    findings = [finding async for finding in examine(settings)]
    print_rows(
        (finding._asdict() for finding in findings),
        as_json=as_json,
        columns=("check", "verdict", "found"),
    )
    for finding in findings:
        if finding.verdict != "ok":
            line = f"{finding.verdict}: {finding.check}: {finding.advice}"
            talk.print(line, markup=False, soft_wrap=True)
    return sum(finding.verdict == "failure" for finding in findings), len(findings)
