"""What a worker counts, in Prometheus' form.

One table names every metric; the reference in the documentation is checked against it. Values are
plain numbers in dictionaries and arrays, added up once a batch, and become metric families only
when somebody asks: a fix costs no call of the client library. No label names a person.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from geomon.alerts import KINDS, PHASES
from geomon.commands import ASK_REASONS
from geomon.core.evidence import SOURCES
from geomon.events import TYPES
from geomon.operations.measures import Measure, Measures, each
from geomon.refusals import REASONS
from geomon.tally import ACCEPTED, UNREAD

__all__ = ["METRICS", "Metrics"]

_MINUTE, _HOUR = 60.0, 3600.0
_QUICK_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

#: Every metric by its name.
METRICS: Mapping[str, Measure] = {
    "geomon_build_info": Measure(
        "gauge",
        "Always 1; its labels say what runs.",
        ("version", "rules", "zones"),
    ),
    "geomon_events_total": Measure(
        "counter",
        "Messages judged, by type of event; unread: not to be decoded, or under another's key.",
        ("type",),
        known=each((*TYPES, UNREAD)),
    ),
    "geomon_fixes_total": Measure(
        "counter",
        "Fixes by source (unread: none could be read), and accepted or the reason why not.",
        ("source", "outcome"),
        known=each([source.name for source in SOURCES], [ACCEPTED]),
    ),
    "geomon_fix_lateness_seconds": Measure(
        "histogram",
        "Arrival less the time of the fix, of fixes accepted.",
        bounds=(
            *(1.0, 5.0, 15.0, 30.0, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR),
            *(3 * _HOUR, 6 * _HOUR, 12 * _HOUR, 24 * _HOUR, 72 * _HOUR),
        ),
    ),
    "geomon_rejections_total": Measure(
        "counter",
        "Refusals written to geomon.rejected, by reason.",
        ("reason",),
        known=each(REASONS),
    ),
    "geomon_alerts_total": Measure(
        "counter",
        "Alerts delivered, by kind and phase; repeats after a crash are in it.",
        ("kind", "phase"),
        known=each(KINDS, PHASES),
    ),
    "geomon_commands_total": Measure(
        "counter",
        "Requests to devices to report more often, by reason; repeats after a crash are in it.",
        ("reason",),
        known=each(ASK_REASONS),
    ),
    "geomon_alert_latency_seconds": Measure(
        "histogram",
        "From the broker's time of the message that made an alert to its delivery.",
        bounds=_QUICK_S,
    ),
    "geomon_open_episodes": Measure(
        "gauge",
        "Episodes open among the people held, by kind.",
        ("kind",),
        known=each(KINDS),
    ),
    "geomon_people": Measure("gauge", "People whose states are held."),
    "geomon_partitions": Measure("gauge", "Partitions of geomon.events that are held."),
    "geomon_consumer_lag_messages": Measure(
        "gauge",
        "Messages there that are not judged yet, by partition.",
        ("partition",),
    ),
    "geomon_batch_events": Measure(
        "histogram",
        "Messages in a batch.",
        bounds=(1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000),
    ),
    "geomon_batch_duration_seconds": Measure(
        "histogram",
        "From taking a batch to everything of it being told.",
        bounds=_QUICK_S,
    ),
    "geomon_states_written_total": Measure("counter", "States of people written to the changelog."),
    "geomon_events_missing_total": Measure(
        "counter", "Events that were deleted before any worker had read them."
    ),
    "geomon_sink_failures_total": Measure(
        "counter",
        "Failed attempts to make something safe, by where.",
        ("sink",),
        known=each(["redis", "kafka"]),
    ),
    "geomon_undelivered_alerts": Measure("gauge", "Alerts that wait for Redis."),
    "geomon_undelivered_oldest_seconds": Measure(
        "gauge", "For how long the oldest of them has waited."
    ),
    "geomon_recovery_seconds": Measure(
        "gauge", "How long it took last to read the states of the partitions given."
    ),
    "geomon_canary_round_trip_seconds": Measure(
        "histogram", "From sending a canary to its being judged.", bounds=_QUICK_S
    ),
    "geomon_canary_last_seen_timestamp_seconds": Measure(
        "gauge",
        "When a canary was last judged, or the partition given to this worker; by partition.",
        ("partition",),
    ),
    "geomon_clock_skew_seconds": Measure(
        "gauge", "This machine's clock less the brokers'; absent while not known."
    ),
    "geomon_check_ok": Measure(
        "gauge", "1 when a check of readiness is passed, else 0.", ("check",)
    ),
}


class Metrics(Measures):
    """The numbers of one worker; what a batch brings is added at once."""

    def __init__(self) -> None:
        super().__init__(METRICS)

    def add_each(
        self, name: str, counts: Mapping[str, float] | Mapping[tuple[str, str], float]
    ) -> None:
        """Let a counter rise for each label (or tuple of labels)."""
        for label, by in counts.items():
            self.add(name, *((label,) if isinstance(label, str) else label), by=by)

    def set_each(self, name: str, values: Mapping[str, float]) -> None:
        """Give a gauge with one label its values; what is not among them is 0, or gone."""
        self._values[name] = dict.fromkeys(METRICS[name].known, 0.0)
        self._values[name].update({(label,): float(value) for label, value in values.items()})

    def clear(self, name: str) -> None:
        """Take back what a gauge says: nothing is known."""
        self._values[name] = {}

    def observe(self, name: str, values: ArrayLike) -> None:
        """Add values to a histogram, as many as there are."""
        spread = self._spreads[name]
        array = np.atleast_1d(np.asarray(values, dtype=np.float64))
        at = np.searchsorted(np.asarray(spread.bounds), array, side="left")
        new = np.bincount(at, minlength=len(spread.counts)).tolist()
        spread.counts = [old + more for old, more in zip(spread.counts, new, strict=True)]
        spread.total += float(array.sum())
