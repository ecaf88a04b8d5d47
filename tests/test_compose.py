"""compose.yaml and what it mounts: made of things that exist."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from geomon import __version__
from geomon.embedded.jars import NEWEST
from geomon.gateway import house
from geomon.gateway import metrics as of_gateways
from geomon.operations import metrics as of_workers
from geomon.settings import Settings, load

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = (ROOT / "compose.yaml").read_text("utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
RULES = (ROOT / "deploy" / "alerts.yml").read_text("utf-8")
DASHBOARDS = [
    json.loads(path.read_text("utf-8"))
    for path in sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
]
PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"

METRICS = {**of_workers.METRICS, **of_gateways.METRICS}
#: Checks whose names rules may use: of a gateway, which passes those of listeners that it has.
CHECKS = {"kafka", "registry", *house._LISTENERS}

# What the client library adds by itself.
OF_THE_PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}


def expressions_of_the_dashboards() -> list[str]:
    panels = [panel for dashboard in DASHBOARDS for panel in dashboard["panels"]]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def expressions_of_the_rules() -> list[str]:
    return re.findall(r"^ +expr: (.+)$", RULES, re.MULTILINE)


EXPRESSIONS = [*expressions_of_the_dashboards(), *expressions_of_the_rules()]


def image_of(service: str) -> str:
    [image] = re.findall(
        rf"^  {service}:\n(?:    .*\n|\n)*?    image: (\S+)", COMPOSE, re.MULTILINE
    )
    return str(image)


def test_compose_understands_it() -> None:
    """By the client where there is one; it needs no engine for it."""
    call = ["docker", "compose", "--file", str(ROOT / "compose.yaml")]
    call += ["--profile", "gateway", "--profile", "watching"]
    try:
        subprocess.run([*call[:2], "version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no `docker compose` here")
    told = subprocess.run(
        [*call, "config", "--format", "json"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    services = json.loads(told.stdout)["services"]
    assert set(services) == {
        *("kafka", "redis", "topics", "worker", "gateway", "prometheus", "grafana"),
    }
    assert services["worker"]["deploy"]["replicas"] == 2


def test_its_kafka_is_the_one_that_is_tested_and_every_image_is_pinned() -> None:
    assert image_of("kafka") == f"apache/kafka:{NEWEST}"
    images = re.findall(r"^ +image: (\S+)$", COMPOSE, re.MULTILINE)
    assert len(images) == 5
    assert all(re.search(r":v?\d+\.\d+", image) for image in images), images
    assert f"geomon:{__version__}" in images
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["python:3.12-slim"] * 2


def test_every_setting_in_it_exists_and_has_a_value_that_is_taken() -> None:
    names = {f"GEOMON_{f.name.upper()}" for f in fields(Settings)}
    given = dict(re.findall(r"^ +(GEOMON_\w+): \"?([^\"\n]+)\"?$", COMPOSE, re.MULTILINE))
    built = dict(re.findall(r"\b(GEOMON_\w+)=(\S+)", DOCKERFILE))
    assert given.keys() == set(re.findall(r"GEOMON_\w+(?=:)", COMPOSE))
    assert given.keys() | built.keys() <= names
    assert set(re.findall(r"GEOMON_\w+", COMPOSE + DOCKERFILE)) <= names
    settings, _ = load(environment=built | given)
    assert settings.kafka == "kafka:19092"
    assert f"KAFKA_ADVERTISED_LISTENERS: INSIDE://{settings.kafka}," in COMPOSE
    # One broker cannot keep three copies.
    assert settings.replication == 1


@pytest.mark.parametrize(
    ("service", "setting"), [("worker", "GEOMON_WEB"), ("gateway", "GEOMON_GATEWAY_WEB")]
)
def test_prometheus_asks_where_workers_and_gateways_answer(service: str, setting: str) -> None:
    [port] = re.findall(rf"{setting}: .*:(\d+)$", COMPOSE, re.MULTILINE)
    scraped = (ROOT / "deploy" / "prometheus.yml").read_text("utf-8")
    asked = re.findall(r"names: \[(\w+)\]\n +type: A\n +port: (\d+)\n", scraped)
    assert (service, port) in asked
    assert len(asked) == 2
    [described] = re.findall(rf"^  {service}:\n((?:    .*\n|\n)+)", COMPOSE, re.MULTILINE)
    assert f"http://127.0.0.1:{port}/healthz" in described
    [exposed] = re.findall(r"^EXPOSE (.+)$", DOCKERFILE, re.MULTILINE)
    assert port in exposed.split()


def test_a_gateway_listens_where_its_ports_are_published() -> None:
    of_gateway = dict(re.findall(r"_GATEWAY_(\w+): 0\.0\.0\.0:(\d+)$", COMPOSE, re.MULTILINE))
    web = of_gateway.pop("WEB")
    [described] = re.findall(r"^  gateway:\n((?:    .*\n|\n)+)", COMPOSE, re.MULTILINE)
    published = set()
    for first, last in re.findall(r"- 127\.0\.0\.1:(\d+)(?:-(\d+))?:\1", described):
        published |= set(map(str, range(int(first), int(last or first) + 1)))
    assert published == set(of_gateway.values())
    assert web not in published  # for Prometheus, inside


def test_every_file_that_is_mounted_is_there() -> None:
    mounted = re.findall(r"^ +- \./(\S+?):(/\S+?):ro$", COMPOSE, re.MULTILINE)
    assert len(mounted) == 4
    for source, _ in mounted:
        assert (ROOT / source).exists(), source
    places = {target for _, target in mounted}
    for path in re.findall(r"/etc/\S+", (ROOT / "deploy/prometheus.yml").read_text("utf-8")):
        assert path in places
    [folder] = re.findall(r"path: (\S+)", (PROVISIONING / "dashboards/geomon.yml").read_text())
    assert folder in places
    copied = [
        word
        for line in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.M)
        for word in line.split()
    ]
    let_in = (ROOT / ".dockerignore").read_text().splitlines()
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in let_in, name


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_that_is_shown_or_watched_exists_with_its_labels(expression: str) -> None:
    names = set(re.findall(r"\b(?:geomon|process)_\w+", expression))
    labels: set[str] = {"job", "instance", "le"}
    for name in names - OF_THE_PROCESS:
        measure = METRICS.get(name) or METRICS[name.removesuffix("_bucket")]
        assert (measure.kind == "histogram") == name.endswith("_bucket"), name
        # Only what may fall is read as it is; what only rises is read as a rate.
        assert (measure.kind == "gauge") or re.search(rf"(rate|increase)\({name}", expression)
        labels |= set(measure.labels)
    assert names or "up{" in expression
    used = re.findall(r"\bby \(([^)]*)\)", expression)
    assert {label.strip() for group in used for label in group.split(",")} <= labels
    for name, wanted in re.findall(r"[{,] *(\w+)=\"([^\"]*)\"", expression):
        assert name in labels
        known = [
            dict(zip(METRICS[n].labels, values, strict=True))
            for n in names - OF_THE_PROCESS
            if n in METRICS
            for values in METRICS[n].known
        ]
        if name == "check":
            assert wanted in CHECKS
        elif name != "job":
            assert wanted in {values[name] for values in known if name in values}


def test_every_metric_of_weight_is_shown_or_watched() -> None:
    """What is counted and nobody looks at is a metric too many, or a panel too few."""
    together = "\n".join(EXPRESSIONS)
    unseen = {name for name in METRICS if not re.search(rf"\b{name}(_bucket)?\b", together)}
    assert unseen <= {"geomon_build_info", "geomon_gateway_build_info", "geomon_batch_events"}


def test_every_rule_says_how_grave_it_is_and_what_is_wrong() -> None:
    rules = RULES.split("- alert: ")[1:]
    assert len(rules) == len(expressions_of_the_rules())
    for rule in rules:
        assert re.search(r"labels: \{severity: (page|ticket)\}\n", rule), rule
        assert re.search(r"annotations:\n +summary: \S", rule), rule
    names = [rule.split("\n")[0] for rule in rules]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: str(dashboard["uid"]))
def test_panels_have_a_place_each_and_the_source_that_is_provisioned(
    dashboard: dict[str, Any],
) -> None:
    source = (PROVISIONING / "datasources" / "prometheus.yml").read_text()
    [uid] = re.findall(r"uid: (\S+)", source)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        assert panel["datasource"] == {"type": "prometheus", "uid": uid}
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


def test_each_dashboard_has_a_name_of_its_own() -> None:
    for name in ("uid", "title"):
        assert len({dashboard[name] for dashboard in DASHBOARDS}) == len(DASHBOARDS) == 2
