"""What a gateway counts, in Prometheus' form.

One table names every metric; the reference in the documentation is checked against it. No label
names a person or a device.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate, product
from typing import Any, Literal, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from geomon.gateway.registry import ADMISSION

__all__ = ["METRICS", "OUTCOMES", "PROTOCOLS", "Measure", "Metrics"]

Labels = tuple[str, ...]

PROTOCOLS = ("native", "osmand", "traccar", "owntracks", "mqtt", "jt808", "gt06", "r16h")

#: What becomes of an upload. Code: meaning.
OUTCOMES: Mapping[str, str] = {
    "accepted": "Kafka has it, and it was acknowledged",
    "rejected": "it cannot be taken; it is kept in geomon.rejected, and was acknowledged",
    "unreadable": "it cannot be taken, and is not known to be of anybody: only counted",
    "refused": "who sent it was turned away",
    "busy": "Kafka is away, too much waits for it, or the registry is not read: to come again",
}

_QUICK_S = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


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
    "geomon_gateway_build_info": Measure(
        "gauge", "Always 1; its label says what runs.", ("version",)
    ),
    "geomon_gateway_uploads_total": Measure(
        "counter",
        "Uploads by protocol, and what became of them.",
        ("protocol", "outcome"),
        known=_each(PROTOCOLS, OUTCOMES),
    ),
    "geomon_gateway_events_total": Measure(
        "counter",
        "Events that Kafka has, by protocol.",
        ("protocol",),
        known=_each(PROTOCOLS),
    ),
    "geomon_gateway_positions_total": Measure(
        "counter",
        "Positions in them, by protocol.",
        ("protocol",),
        known=_each(PROTOCOLS),
    ),
    "geomon_gateway_located_total": Measure(
        "counter",
        "Reports with towers or access points alone, by what the locator made of them.",
        ("source",),
        known=_each(["cell", "wifi", "nothing"]),
    ),
    "geomon_gateway_refusals_total": Measure(
        "counter",
        "Requests turned away, by reason.",
        ("reason",),
        known=_each(ADMISSION),
    ),
    "geomon_gateway_rejections_total": Measure(
        "counter",
        "Uploads and parts of them that cannot be taken, by reason.",
        ("reason",),
    ),
    "geomon_gateway_received_bytes_total": Measure(
        "counter",
        "Bytes received from devices, by protocol.",
        ("protocol",),
        known=_each(PROTOCOLS),
    ),
    "geomon_gateway_connections": Measure(
        "gauge",
        "Connections open now, by protocol; all of HTTP as http.",
        ("protocol",),
    ),
    "geomon_gateway_in_flight_bytes": Measure("gauge", "Bytes of events that wait for Kafka."),
    "geomon_gateway_publish_seconds": Measure(
        "histogram",
        "From an event's being ready to Kafka's having it.",
        bounds=_QUICK_S,
    ),
    "geomon_gateway_devices": Measure("gauge", "Devices announced and not withdrawn."),
    "geomon_gateway_registry_age_seconds": Measure(
        "gauge",
        "Since the registry was last known to be up to date; absent while it was never.",
    ),
    "geomon_gateway_registry_unread_total": Measure(
        "counter", "Announcements of devices that could not be read."
    ),
    "geomon_gateway_check_ok": Measure(
        "gauge", "1 when a check of readiness is passed, else 0.", ("check",)
    ),
}


class Metrics(Collector):
    """The numbers of one gateway, in a registry of their own.

    Names are those of `METRICS`, anything else raises `KeyError`; labels are given in its order.
    """

    def __init__(self) -> None:
        self._values: dict[str, dict[Labels, float]] = {}
        self._asked: dict[str, Callable[[], float | None]] = {}
        self._spreads = {
            name: _Spread(measure.bounds)
            for name, measure in METRICS.items()
            if measure.kind == "histogram"
        }
        for name, measure in METRICS.items():
            if name not in self._spreads:
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

    def set(self, name: str, value: float, *labels: str) -> None:
        """Give a gauge its value."""
        self._values[name][labels] = float(value)

    def ask(self, name: str, value: Callable[[], float | None]) -> None:
        """Have a gauge without labels asked for its value when it is read; None = absent."""
        self._asked[name] = value

    def observe(self, name: str, value: float) -> None:
        """Add a value to a histogram."""
        self._spreads[name].add(value)

    def value(self, name: str, *labels: str) -> float | None:
        """Give one number: of a histogram how many values it has; None where there is none."""
        if name in self._spreads:
            return float(sum(self._spreads[name].counts))
        self._refresh()
        return self._values[name].get(labels)

    def collect(self) -> Iterator[Metric]:
        """Give the metric families, for the client library."""
        self._refresh()
        for name, measure in METRICS.items():
            family = _FAMILIES[measure.kind](name, measure.help, labels=measure.labels)
            if name in self._spreads:
                spread = self._spreads[name]
                family.add_metric((), spread.buckets(), spread.total)
            else:
                for labels, value in self._values[name].items():
                    family.add_metric(labels, value)
            yield family

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """Give the page that Prometheus reads, and its type, by what the asker accepts."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _refresh(self) -> None:
        for name, ask in self._asked.items():
            value = ask()
            self._values[name] = {} if value is None else {(): float(value)}


_FAMILIES: Mapping[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


class _Spread:
    """A histogram."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Give the buckets as they are written: each counts what lies below it as well."""
        names = [*(repr(float(bound)) for bound in self._bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self.counts)), strict=True))
