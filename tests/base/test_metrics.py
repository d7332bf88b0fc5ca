"""The registry of figures and its text form."""

from __future__ import annotations

import pytest

from podium.base import metrics
from podium.base.metrics import Registry, exponential
from podium.base.process_metrics import add_process_metrics


def test_counters_and_gauges_are_told_by_name_and_labels() -> None:
    registry = Registry()
    requests = registry.counter("requests_total", "Requests\nanswered.", "verb", "path")
    requests.labels("GET", 'a"b\\c\nd').inc()
    requests.labels("GET", "").inc(2.5)
    registry.gauge("depth", "Depth.").labels().set(-3)
    registry.counter("never_counted", "Without children, without lines.", "label")
    assert registry.text().decode().splitlines() == [
        "# HELP depth Depth.",
        "# TYPE depth gauge",
        "depth -3",
        "# HELP requests_total Requests\\nanswered.",
        "# TYPE requests_total counter",
        'requests_total{verb="GET",path=""} 2.5',
        'requests_total{verb="GET",path="a\\"b\\\\c\\nd"} 1',
    ]


def test_a_histogram_counts_cumulatively_and_bounds_are_inclusive() -> None:
    registry = Registry()
    time = registry.histogram("time_seconds", "Time.", (0.5, 1), "name").labels("a")
    for value in (0.1, 0.5, 0.6, 7):
        time.observe(value)
    assert registry.text().decode().splitlines()[2:] == [
        'time_seconds_bucket{name="a",le="0.5"} 2',
        'time_seconds_bucket{name="a",le="1"} 3',
        'time_seconds_bucket{name="a",le="+Inf"} 4',
        'time_seconds_sum{name="a"} 8.2',
        'time_seconds_count{name="a"} 4',
    ]


def test_what_a_histogram_notes_is_counted_when_somebody_reads_it_or_folds() -> None:
    registry = Registry()
    family = registry.histogram("time_seconds", "Time.", (0.5, 1), "name")
    noted, observed = family.labels("noted"), family.labels("observed")
    for value in (7, 0.5, 0.1, 1, 0.6, 0.5):
        noted.noted.append(value)
        observed.observe(value)
    assert (noted.count, noted.sum) == (observed.count, observed.sum)
    registry.fold()
    assert noted.noted == []
    noted.noted.append(2)
    observed.observe(2)
    lines = registry.text().decode()
    told = [line for line in lines.splitlines() if "noted" in line]
    assert told == [line.replace("observed", "noted") for line in lines.splitlines() if "observed" in line]
    assert told[2] == 'time_seconds_bucket{name="noted",le="+Inf"} 7'


def test_those_beyond_the_bound_are_folded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "CHILDREN_MAX", 0)
    registry = Registry()
    overflow = registry.histogram("h", "H.", (1,), "who").labels("a")
    overflow.noted.append(1)
    registry.fold()
    assert overflow.noted == []


def test_exponential_bounds() -> None:
    assert exponential(0.001, 2, 4) == (0.001, 0.002, 0.004, 0.008)
    assert exponential(1e-8, 10, 3) == (1e-8, 1e-7, 1e-6)


def test_children_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "CHILDREN_MAX", 2)
    family = Registry().counter("c", "C.", "who")
    assert family.labels("a") is family.labels("a")
    assert family.labels("b") is not family.labels("a")
    assert family.labels("c") is family.labels("d")
    assert len(list(family.children())) == 2


def test_readers_run_before_each_collection() -> None:
    registry = Registry()
    gauge = registry.gauge("now", "Now.").labels()
    registry.before_collection(gauge.inc)
    assert b"now 1\n" in registry.text()
    assert b"now 2\n" in registry.text()


def test_a_process_tells_about_itself() -> None:
    registry = Registry()
    add_process_metrics(registry)
    text = registry.text().decode()
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(figures["process_cpu_seconds_total"]) > 0
    assert float(figures["process_resident_memory_bytes"]) > 1 << 20
    assert float(figures["process_start_time_seconds"]) > 1.7e9
