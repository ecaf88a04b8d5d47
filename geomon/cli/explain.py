"""`geomon explain`: the fixes behind a decision, and what each contributed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.cells import cell_len

from geomon.alerts import REASONS, episode_id, iso_utc
from geomon.cli.options import Moment, Time, UtfText, city_option, config_option
from geomon.cli.output import json_option, print_rows, printable, talk
from geomon.cli.reading import lines_of
from geomon.cloudevent import exact
from geomon.core.account import LABELS, WHY, Entry, account, deciding, probability
from geomon.core.episodes import OF_CITY, Alert
from geomon.core.observed import Observed
from geomon.core.person import Clue, Person
from geomon.core.rules import Rules
from geomon.dossier.chronicle import Chronicle, Seen
from geomon.errors import UserError
from geomon.intake import Intake
from geomon.settings import load, rules_from
from geomon.zones.index import ZoneIndex, zones_for

__all__ = ["explain"]

COLUMNS = (
    *("time", "fix", "±m", "out_m", "place", "weight", "counted"),
    *("log_odds", "%", "believed", "why"),
)
NUMBERS = frozenset(("±m", "out_m", "weight", "counted", "log_odds", "%"))
#: Lines of a table on a terminal: the first, and the last; --json lists all.
_FIRST, _LAST = 12, 28

EPILOG = """\b
Examples:
  geomon explain case.ndjson.gz --episode SZ-0003/leave_city/2024-02-13T01:52:00Z
  geomon explain case.ndjson.gz --person SZ-0003 --at 2024-02-13T09:53:00+08:00
  geomon explain case.ndjson.gz --person SZ-0003 --json
"""


class _Decision(NamedTuple):
    """What is to be explained: an alert, or None for a mere moment; and the person as it was."""

    name: str
    time_s: int
    alert: Alert | None
    person: Person


@click.command(epilog=EPILOG)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--person", "whose", metavar="ID", type=UtfText(), help="Whose. Default: the episode's."
)
@click.option("--at", type=Time(), help="Belief as it was then. Default: at the recording's end.")
@click.option(
    "--episode", metavar="ID", type=UtfText(), help="An episode, or with #N one of its alerts."
)
@city_option
@config_option
@json_option
def explain(
    files: tuple[str, ...],
    whose: str | None,
    at: Moment | None,
    episode: str | None,
    city: str | None,
    file: Path | None,
    as_json: bool,
) -> None:
    """Explain a decision: the fixes behind it, and what each contributed.

    Recorded events ("-" is standard input) are judged as `geomon replay` judges them. Explained is
    how an absence was opened and closed, or where somebody was believed to be at a time. Weights
    are log-odds of being outside the city, in nats; a stretch in which nothing changed is one line.
    """
    if at and episode:
        raise click.UsageError("--at and --episode: one of them")
    named = episode.partition("/")[0] if episode else ""
    if not whose and not named:
        raise click.UsageError("--person or --episode says whose belief is to be explained")
    if whose and named and whose != named:
        raise click.UsageError(f"--episode {episode} is not of {whose}")
    settings, _ = load({"city": city}, file=file)
    rules = rules_from(settings)
    zones = zones_for(settings.city, extra=settings.city_extra, minus=settings.city_minus)
    until_s = at.posix_s(settings.utc_offset_h) if at else 0
    notes = _Notes(episode or "")
    play = Chronicle(whose or named, Intake(zones), rules, [notes], until_s)
    _replay(play, whose or named, files)
    person = play.person
    if person is None:
        raise UserError(f"nothing is known of {whose or named} in {', '.join(files)}")
    if episode:
        decisions = _of_episode(notes, episode)
    else:
        time_s = until_s or person.clock_s
        decisions = [_Decision(iso_utc(time_s), time_s, None, person)]
    _print(decisions, notes.clues, rules, zones, as_json=as_json)


def _replay(play: Chronicle, whose: str, files: Sequence[str]) -> None:
    from geomon.dossier.sources import events_of  # noqa: PLC0415  (needs a Kafka client)

    with ExitStack() as stack:
        play.alerts_of(events_of(whose, lines_of(files, stack)))


class _Notes:
    """Keeps what may be asked for afterwards: the fixes, and the person at each decision."""

    def __init__(self, episode: str) -> None:
        self._episode, _, self._number = episode.partition("#")
        self.clues: dict[Clue, int] = {}  # and when each arrived
        self.decisions: list[_Decision] = []
        self.kind = ""  # of the episode, once it was met

    def see(self, seen: Seen) -> None:
        """Look at one step."""
        if isinstance(seen.event, Observed):
            for clue in seen.event.clues():
                self.clues.setdefault(clue, seen.event.at_s)
        for alert in seen.outcomes:
            if (
                isinstance(alert, Alert)
                and episode_id(alert.supervisee_id, alert.kind, alert.since_s) == self._episode
                and (self._number or alert.phase != "updated")
                and self._number in ("", str(alert.number))
            ):
                self.kind = alert.kind
                name = f"{self._episode}#{alert.number}"
                self.decisions.append(_Decision(name, alert.detected_s, alert, seen.after))


def _of_episode(notes: _Notes, episode: str) -> list[_Decision]:
    if not notes.decisions:
        raise UserError(f"no such episode in the recording: {episode}")
    if notes.kind not in OF_CITY:
        known = ", ".join(sorted(OF_CITY))
        raise UserError(f"{notes.kind} does not rest on where fixes lie; explained are {known}")
    return notes.decisions


def _print(
    decisions: Sequence[_Decision],
    clues: dict[Clue, int],
    rules: Rules,
    zones: ZoneIndex,
    *,
    as_json: bool,
) -> None:
    met: set[str] = set()
    for decision in decisions:
        person = decision.person
        known = [clue for clue, at_s in clues.items() if at_s <= decision.time_s]
        entries = [
            entry._replace(clue=exact(entry.clue, zones)) if entry.clue else entry
            for entry in deciding(account(person, known, rules.tuning))
        ]
        met.update(word for entry in entries for word in entry.why)
        if as_json:
            print_rows((_row(decision, entry) for entry in entries), as_json=True)
            continue
        local = timezone(timedelta(seconds=rules.utc_offset_s))
        click.secho(printable(_heading(decision, local)), bold=True)
        if person.settle_s:
            when = datetime.fromtimestamp(person.settle_s, local)
            talk.print(f"fixes from a memory are being gathered, to be judged {when:%H:%M:%S}")
        for line in _table(list(_shown(entries, local))):
            click.echo(line)
        click.echo()
    if not as_json:
        _explain_words(met, rules)


def _heading(decision: _Decision, local: timezone) -> str:
    when = datetime.fromtimestamp(decision.time_s, local)
    alert = decision.alert
    if alert is None:
        return f"{decision.person.supervisee_id} as it was {when:%Y-%m-%d %H:%M:%S %z}"
    english, chinese = REASONS[alert.reason]
    said = f"{alert.phase} {when:%Y-%m-%d %H:%M:%S %z}: {english} {chinese}"
    return f"{decision.name} {said}" + (f" ({alert.permit_id})" if alert.permit_id else "")


def _row(decision: _Decision, entry: Entry) -> dict[str, Any]:
    alert, clue = decision.alert, entry.clue
    return {
        "decision": decision.name,
        "decided": iso_utc(decision.time_s),
        "phase": alert.phase if alert else None,
        "reason": alert.reason if alert else None,
        "time": iso_utc(entry.time_s),
        "until": iso_utc(entry.until_s),
        "fixes": entry.fixes,
        "minutes": entry.minutes,
        "device": clue.device if clue else None,
        "source": clue.source if clue else None,
        "accuracy_m": clue.accuracy_m if clue else None,
        "distance_outside_m": clue.distance_m if clue else None,
        "place": clue.place or None if clue else None,
        "weight": entry.weight if clue else None,
        "counted": entry.counted,
        "log_odds": round(entry.log_odds, 2),
        "probability": round(probability(entry.log_odds), 4),
        "label": LABELS[entry.label],
        "why": list(entry.why),
    }


def _table(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    """Give lines of a table; as wide as they are, for a table of numbers must not be folded."""
    heading = dict(zip(COLUMNS, COLUMNS, strict=True))
    widths = {c: max(cell_len(row.get(c, "")) for row in (heading, *rows)) for c in COLUMNS}
    for row in (heading, *rows):
        cells = []
        for column, width in widths.items():
            text = row.get(column, "")
            fill = " " * (width - cell_len(text))
            cells.append(fill + text if column in NUMBERS else text + fill)
        yield "  ".join(cells).rstrip()


def _shown(entries: Sequence[Entry], local: timezone) -> Iterator[dict[str, str]]:
    """Give the lines of a table for people, the middle of a very long one left out."""
    most = _FIRST + _LAST
    for number, entry in enumerate(entries):
        if len(entries) <= most or number < _FIRST or number >= len(entries) - _LAST:
            yield _line(entry, local)
        elif number == _FIRST:
            left_out = entries[_FIRST : len(entries) - _LAST]
            counted = sum(entry.counted for entry in left_out)
            what = f"… {len(left_out):,} lines (--json has them)"
            yield {"fix": what, "counted": f"{counted:+.2f}"}


def _line(entry: Entry, local: timezone) -> dict[str, str]:
    begin, end = (datetime.fromtimestamp(t, local) for t in (entry.time_s, entry.until_s))
    label = LABELS[entry.label]
    line = {
        "time": f"{begin:%m-%d %H:%M:%S}",
        "log_odds": f"{entry.log_odds:+.2f}",
        "%": f"{100 * probability(entry.log_odds):.1f}",
        "believed": label,
        "why": ", ".join(word.replace("_", " ") for word in entry.why),
    }
    clue = entry.clue
    if clue is not None:
        more = f" +{entry.fixes - 1}" if entry.fixes > 1 else ""
        return line | {
            "fix": printable(f"{clue.device} {clue.source}{more}"),
            "±m": f"{clue.accuracy_m:.0f}",
            "out_m": f"{clue.distance_m:.0f}",
            "place": clue.place,
            "weight": f"{entry.weight:+.2f}",
            "counted": f"{entry.counted:+.2f}",
        }
    if not entry.fixes:
        return line | {"fix": "(older than the horizon)"}
    same_day = begin.date() == end.date()
    until = f"{end:%H:%M}" if same_day else f"{end:%m-%d %H:%M}"
    return line | {
        "time": f"{begin:%m-%d %H:%M}–{until}",
        "fix": f"{entry.minutes:,} minutes {label}",
    }


def _explain_words(met: set[str], rules: Rules) -> None:
    ceiling, sure = rules.tuning.ceiling, rules.tuning.sure
    talk.print(
        f"nats, positive = outside; believed outside from +{sure:g}, inside from -{sure:g}, and "
        f"never beyond ±{ceiling:g}; counted: what a fix added, beyond the fading of belief",
        soft_wrap=True,
    )
    for word in WHY:
        if word in met:
            english, chinese = WHY[word]
            talk.print(f"  {word.replace('_', ' ')}: {english} {chinese}", soft_wrap=True)
