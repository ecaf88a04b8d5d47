"""What a process counts, in Prometheus' form: a table names every metric, and this keeps them.

Values are plain numbers in dictionaries and lists, and become metric families only when somebody
asks: to count costs no call of the client library.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

__all__ = ["Labels", "Measure", "Measures", "Spread", "each"]

Labels = tuple[str, ...]


class Measure(NamedTuple):
    """One metric: what it is, its labels, and those of their values that are there from the start.

    `bounds` are the upper bounds of a histogram's buckets, in the unit of its name.
    """

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Labels = ()
    bounds: tuple[float, ...] = ()
    known: tuple[Labels, ...] = ()


def each(*values: Iterable[str]) -> tuple[Labels, ...]:
    """Give every combination of labels.

    >>> each(["a", "b"], ["x"])
    (('a', 'x'), ('b', 'x'))
    """
    return tuple(product(*values))


class Spread:
    """A histogram; `counts` has a number for each bucket, and one for what lies above all."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Add a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Give the buckets as they are written: each counts what lies below it as well."""
        names = [*(repr(float(bound)) for bound in self.bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self.counts)), strict=True))


class Measures(Collector):
    """The numbers of one process, in a registry of their own.

    Names are those of `table`, anything else raises `KeyError`; labels are given in its order.
    """

    def __init__(self, table: Mapping[str, Measure]) -> None:
        self._table = table
        self._values: dict[str, dict[Labels, float]] = {}
        self._spreads: dict[str, Spread] = {}
        for name, measure in table.items():
            if measure.kind == "histogram":
                self._spreads[name] = Spread(measure.bounds)
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

    def set(self, name: str, value: float, *labels: str) -> None:
        """Give a gauge its value."""
        self._values[name][labels] = float(value)

    def value(self, name: str, *labels: str) -> float | None:
        """Give one number: of a histogram how many values it has; None where there is none."""
        if name in self._spreads:
            return float(sum(self._spreads[name].counts))
        return self._values[name].get(labels)

    def collect(self) -> Iterator[Metric]:
        """Give the metric families, for the client library."""
        for name, measure in self._table.items():
            family = _FAMILIES[measure.kind](name, measure.help, labels=measure.labels)
            if measure.kind == "histogram":
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


_FAMILIES: Mapping[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}
