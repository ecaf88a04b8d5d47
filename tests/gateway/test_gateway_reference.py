"""The reference says of the gateway what it does: nothing missing, nothing made up."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from click.testing import CliRunner
from pages import REFERENCE, code
from reception import PHONE, roll

from geomon.cli import cli
from geomon.gateway import house
from geomon.gateway.metrics import METRICS, ORDERED, OUTCOMES, PROTOCOLS
from geomon.gateway.registry import ADMISSION
from geomon.settings import Settings


def test_every_metric_of_a_gateway_is_in_the_reference_and_no_other() -> None:
    rows = REFERENCE["Gateway metrics"].keyed()
    assert list(rows) == list(METRICS)
    for name, measure in METRICS.items():
        _, kind, labels, meaning = rows[name]
        assert (kind, re.findall(r"`(\w+)`", labels), meaning) == (
            *(measure.kind, list(measure.labels), measure.help),
        )
    for table, outcomes in ((1, OUTCOMES), (2, ORDERED)):
        found = {k: row[1] for k, row in REFERENCE["Gateway metrics"].keyed(table).items()}
        assert found == outcomes


def test_every_reason_to_turn_somebody_away_is_in_the_reference() -> None:
    rows = REFERENCE["Devices"].keyed()
    assert {reason: (row[1], row[2]) for reason, row in rows.items()} == ADMISSION


def test_every_protocol_is_in_the_reference_and_has_a_name_of_its_own() -> None:
    row = REFERENCE["Gateway"].keyed()["protocol"]
    assert re.findall(r"`(\w+)`", row[1]) == list(PROTOCOLS)


def test_every_listener_has_a_setting_and_every_setting_of_a_listener_a_module() -> None:
    for name in house._LISTENERS:
        assert hasattr(Settings(), f"gateway_{name}")


def test_every_path_of_http_is_in_the_reference() -> None:
    paths = {p for row in REFERENCE["HTTP"].tables[0] for p in re.findall(r"`([^`]+)`", row[0])}
    assert paths == {"/v1/uploads", "/osmand", "/", "/owntracks"}
    statuses = [code(row[0]) for row in REFERENCE["Answers"].tables[0]]
    assert statuses == ["200", "400", "401", "403", "408", "413", "429", "503"]


def test_every_field_of_what_the_commands_print_is_in_the_reference(tmp_path: Path) -> None:
    path = str(roll(tmp_path / "devices.ndjson", PHONE))
    for words in (["gateway", "devices", "check", path], ["gateway", "token"]):
        done = CliRunner().invoke(cli, [*words, "--json"])
        row = msgspec.json.decode(done.stdout.splitlines()[0])
        listed = next(h for h in REFERENCE if h.startswith("geomon " + " ".join(words[:3])[:22]))
        found = re.search(r"JSON fields: (.*?)\.\n", REFERENCE[listed].text, re.DOTALL)
        assert found
        assert re.findall(r"`(\w+)`", found[1]) == list(row)
