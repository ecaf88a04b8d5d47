"""What a worker counts, in Prometheus' form.

One table names every metric; the reference in the documentation is checked against it. Values are
plain numbers in dictionaries and arrays, added up once a batch, and become metric families only
when somebody asks: a fix costs no call of the client library. No label names a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from geomon.alerts import KINDS, PHASES
from geomon.core.evidence import SOURCES
from geomon.events import REASONS, TYPES
from geomon.tally import ACCEPTED, UNREAD

__all__ = ["METRICS", "Measure", "Metrics"]

Labels = tuple[str, ...]

_MINUTE, _HOUR = 60.0, 3600.0
_QUICK_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Measure(NamedTuple):
    """One metric: what it is, its labels, and those of their values that are there from the start.

    `bounds` are the upper bounds of a histogram's buckets, in the unit of its name.
    """

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Labels = ()
    bounds: tuple[float, ...] = ()
    known: tuple[Labels, ...] = ()


def _each(*values: Iterable[str]) -> tuple[Labels, ...]:
    return tuple(product(*values))


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
        known=_each((*TYPES, UNREAD)),
    ),
    "geomon_fixes_total": Measure(
        "counter",
        "Fixes by source (unread: none could be read), and accepted or the reason why not.",
        ("source", "outcome"),
        known=_each([source.name for source in SOURCES], [ACCEPTED]),
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
        known=_each(REASONS),
    ),
    "geomon_alerts_total": Measure(
        "counter",
        "Alerts delivered, by kind and phase; repeats after a crash are in it.",
        ("kind", "phase"),
        known=_each(KINDS, PHASES),
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
        known=_each(KINDS),
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
        known=_each(["redis", "kafka"]),
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


class Metrics(Collector):
    """The numbers of one worker, in a registry of their own.

    Names are those of `METRICS`, anything else raises `KeyError`; labels are given in its order.
    """

    def __init__(self) -> None:
        self._values: dict[str, dict[Labels, float]] = {}
        self._spreads: dict[str, _Spread] = {}
        for name, measure in METRICS.items():
            if measure.kind == "histogram":
                self._spreads[name] = _Spread(measure.bounds)
            else:
                # A series that is there from the start can be seen to rise from 0.
                bare: tuple[Labels, ...] = () if measure.labels else ((),)
                here = bare if measure.kind == "counter" else ()
                self._values[name] = dict.fromkeys(measure.known or here, 0.0)
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def add(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Let a counter (or a gauge) rise."""
        values = self._values[name]
        values[labels] = values.get(labels, 0.0) + by

    def add_each(
        self, name: str, counts: Mapping[str, float] | Mapping[tuple[str, str], float]
    ) -> None:
        """Let a counter rise for each label (or tuple of labels)."""
        values = self._values[name]
        for label, by in counts.items():
            labels = (label,) if isinstance(label, str) else label
            values[labels] = values.get(labels, 0.0) + by

    def set(self, name: str, value: float, *labels: str) -> None:
        """Give a gauge its value."""
        self._values[name][labels] = float(value)

    def set_each(self, name: str, values: Mapping[str, float]) -> None:
        """Give a gauge with one label its values; what is not among them is 0, or gone."""
        self._values[name] = dict.fromkeys(METRICS[name].known, 0.0)
        self._values[name].update({(label,): float(value) for label, value in values.items()})

    def clear(self, name: str) -> None:
        """Take back what a gauge says: nothing is known."""
        self._values[name] = {}

    def observe(self, name: str, values: ArrayLike) -> None:
        """Add values to a histogram, as many as there are."""
        self._spreads[name].add(np.atleast_1d(np.asarray(values, dtype=np.float64)))

    def collect(self) -> Iterator[Metric]:
        """Give the metric families, for the client library."""
        for name, measure in METRICS.items():
            family = _FAMILIES[measure.kind](name, measure.help, labels=measure.labels)
            if measure.kind == "histogram":
                spread = self._spreads[name]
                family.add_metric((), spread.buckets(), spread.total)
            else:
                for labels, value in self._values[name].items():
                    family.add_metric(labels, value)
            yield family

    def value(self, name: str, *labels: str) -> float | None:
        """Give one number: of a histogram how many values it has; None where there is none."""
        if name in self._spreads:
            return float(self._spreads[name].counts.sum())
        return self._values[name].get(labels)

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """Give the page that Prometheus reads, and its type, by what the asker accepts."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


_FAMILIES: Mapping[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


class _Spread:
    """A histogram that takes whole arrays."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = np.array(bounds, dtype=np.float64)
        self.counts: NDArray[np.int64] = np.zeros(len(bounds) + 1, dtype=np.int64)
        self.total = 0.0

    def add(self, values: NDArray[np.float64]) -> None:
        at = np.searchsorted(self._bounds, values, side="left")
        self.counts += np.bincount(at, minlength=len(self.counts))
        self.total += float(values.sum())

    def buckets(self) -> list[tuple[str, float]]:
        """Give the buckets as they are written: each counts what lies below it as well."""
        names = [*map(_written, self._bounds.tolist()), "+Inf"]
        return list(zip(names, np.cumsum(self.counts).tolist(), strict=True))


def _written(bound: float) -> str:
    return repr(float(bound))
