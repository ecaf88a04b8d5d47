"""`python -m tests.festival --out DIR`: write the festival of a city, or of some of its people."""

from __future__ import annotations

import time
from pathlib import Path

import click

from .almanac import DAYS
from .roles import CITY_PEOPLE, deal, supervisee_id
from .sampling import sample_plans
from .writing import day_name, write


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder."
)
@click.option("--people", default=CITY_PEOPLE, show_default=True, help="Size of the city.")
@click.option("--seed", default=1, show_default=True, help="Everything follows from it.")
@click.option("--sample", default=0, help="Only so many of the people, everything rare included.")
@click.option(
    "--only",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Only the people whose ids are in this file, one a line.",
)
@click.option("--days", default="", help="Only these days, as 2024-02-05 or 2024-02-05:2024-02-09.")
@click.option("--jobs", default=1, show_default=True, help="Processes.")
def main(
    out: Path, people: int, seed: int, sample: int, only: Path | None, days: str, jobs: int
) -> None:
    """Write DATE.ndjson.gz for each day, truth.ndjson and people.ndjson.

    Anybody's lines are the same whoever else is written.
    """
    begun = time.perf_counter()
    if sample:
        roles = [plan.role for plan in sample_plans(sample, seed, people)]
    else:
        roles = deal(seed, people)
    if only is not None:
        wanted = set(only.read_text("utf-8").split())
        roles = [role for role in roles if supervisee_id(role.number) in wanted]
    names = [day_name(day) for day in range(DAYS)]
    first, _, last = days.partition(":")
    try:
        chosen = range(
            names.index(first) if first else 0, names.index(last or first or names[-1]) + 1
        )
    except ValueError:
        raise click.BadParameter(f"days are {names[0]} to {names[-1]}") from None
    events = write(out, seed, roles, jobs=min(jobs, max(1, len(roles))), days=chosen)
    seconds = time.perf_counter() - begun
    click.echo(f"{len(roles)} people, {events} events, {seconds:.0f} s: {out}", err=True)


if __name__ == "__main__":
    main()
