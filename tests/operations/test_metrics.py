"""What a worker counts: the names' rules, and the numbers as Prometheus reads them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from geomon.alerts import KINDS, PHASES
from geomon.operations.metrics import METRICS, Metrics
from geomon.refusals import REASONS

UNITS = ("_seconds", "_total", "_info", "_messages", "_events", "_alerts", "_people", "_ok")


@pytest.mark.parametrize("name", METRICS)
def test_names_keep_to_the_rules_of_prometheus(name: str) -> None:
    measure = METRICS[name]
    assert re.fullmatch(r"geomon_[a-z]+(_[a-z]+)*", name)
    assert name.endswith("_total") == (measure.kind == "counter")
    assert name.endswith((*UNITS, "_partitions", "_episodes")), "no base unit at its end"
    assert measure.help.endswith(".")
    assert list(measure.bounds) == sorted(set(measure.bounds))
    assert bool(measure.bounds) == (measure.kind == "histogram")
    assert all(re.fullmatch(r"[a-z]+", label) for label in measure.labels)


def test_no_label_can_name_a_person() -> None:
    labels = {label for measure in METRICS.values() for label in measure.labels}
    assert labels == {
        *("version", "rules", "zones", "type", "source", "outcome", "reason"),
        *("kind", "phase", "partition", "sink", "check"),
    }


def samples(metrics: Metrics) -> dict[str, float]:
    """The page as a program reads it: series -> value."""
    text = metrics.page()[0].decode()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_series_that_can_be_foreseen_are_there_from_the_start() -> None:
    found = samples(Metrics())
    for kind in KINDS:
        assert found[f"geomon_open_episodes{{kind={kind}}}"] == 0
        for phase in PHASES:
            assert found[f"geomon_alerts_total{{kind={kind},phase={phase}}}"] == 0
    assert all(found[f"geomon_rejections_total{{reason={reason}}}"] == 0 for reason in REASONS)
    assert found["geomon_states_written_total{}"] == 0
    assert found["geomon_sink_failures_total{sink=redis}"] == 0
    assert not any(series.startswith("geomon_clock_skew") for series in found), "not known yet"


def test_counts_add_up_and_gauges_stand() -> None:
    metrics = Metrics()
    metrics.add_each("geomon_events_total", {"upload": 5, "permit": 1})
    metrics.add_each("geomon_events_total", {"upload": 2})
    metrics.add_each("geomon_fixes_total", {("gnss", "accepted"): 7, ("unread", "bad_time"): 1})
    metrics.set_each("geomon_consumer_lag_messages", {"0": 12, "3": 0})
    metrics.set_each("geomon_consumer_lag_messages", {"3": 4})
    metrics.set_each("geomon_open_episodes", {"leave_city": 2})
    metrics.set("geomon_clock_skew_seconds", -0.25)
    found = samples(metrics)
    assert found["geomon_events_total{type=upload}"] == 7
    assert found["geomon_events_total{type=permit}"] == 1
    assert found["geomon_fixes_total{outcome=accepted,source=gnss}"] == 7
    assert found["geomon_fixes_total{outcome=bad_time,source=unread}"] == 1
    assert found["geomon_consumer_lag_messages{partition=3}"] == 4
    assert "geomon_consumer_lag_messages{partition=0}" not in found, "it has moved away"
    assert found["geomon_open_episodes{kind=leave_city}"] == 2
    assert found["geomon_open_episodes{kind=tamper}"] == 0
    assert found["geomon_clock_skew_seconds{}"] == -0.25
    metrics.clear("geomon_clock_skew_seconds")
    assert metrics.value("geomon_clock_skew_seconds") is None


def test_a_histogram_takes_whole_arrays_and_counts_what_lies_at_a_bound_below_it() -> None:
    metrics = Metrics()
    metrics.observe("geomon_fix_lateness_seconds", np.array([0, 1, 2, 60, 86_401, -3]))
    metrics.observe("geomon_fix_lateness_seconds", 10.0)
    metrics.observe("geomon_fix_lateness_seconds", np.array([], dtype=np.int64))
    found = samples(metrics)
    name = "geomon_fix_lateness_seconds"
    assert found[f"{name}_bucket{{le=1.0}}"] == 3
    assert found[f"{name}_bucket{{le=5.0}}"] == 4
    assert found[f"{name}_bucket{{le=60.0}}"] == 6
    assert found[f"{name}_bucket{{le=86400.0}}"] == 6
    assert found[f"{name}_bucket{{le=+Inf}}"] == found[f"{name}_count{{}}"] == 7
    assert found[f"{name}_sum{{}}"] == 0 + 1 + 2 + 60 + 86_401 - 3 + 10
    assert metrics.value(name) == 7


def test_two_workers_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.add("geomon_states_written_total", by=3)
    assert one.value("geomon_states_written_total") == 3
    assert other.value("geomon_states_written_total") == 0


def test_a_name_that_is_not_in_the_table_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Metrics().add("geomon_surprises_total")
