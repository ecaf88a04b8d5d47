"""The tables of what can be told: nothing outside them is told, and nothing in them is idle."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from everykind import everything

from geomon import core
from geomon.alerts import (
    GROUNDS,
    KINDS,
    MEASURES,
    PHASES,
    REASONS,
    SEVERITIES,
    episode_id,
    iso_utc,
)
from geomon.cases import CASES, recording_path
from geomon.core.episodes import OF_CITY, OF_PLACE, Cause
from geomon.core.law import BREACHES
from geomon.core.rules import Wanted
from geomon.core.severity import RANKS
from geomon.decoding import decode
from geomon.intake import Intake
from geomon.paperwork import paper
from geomon.replay import Replay, open_recording, read_recording
from geomon.settings import Settings, rules_from
from geomon.zones.index import zones_for

MODULES = sorted(Path(core.__file__).parent.glob("*.py"))
TABLES = {
    "kind": KINDS,
    "reason": REASONS,
    "closed_reason": REASONS,
    "severity": SEVERITIES,
}
#: Where something to be told is made, and which of its arguments are words of which table.
MAKERS: dict[str, dict[int | str, str]] = {
    "Wanted": {0: "kind", 3: "reason", 4: "closed_reason", 6: "severity"},
    "_replace": {},  # by name only
    "add_sign": {1: "kind", 2: "reason"},
    "_about": {2: "reason", 3: "severity"},
    "_strayed": {4: "closed_reason"},
    "_ended": {2: "closed_reason"},
}
AN_ID = re.compile(r"SZ-\d{4}/[a-z_]+/2024-\d\d-\d\dT\d\d:\d\d:\d\dZ")


# -- what the core's source says -----------------------------------------------------------------


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def words_in(node: ast.AST, scope: ast.AST, module: ast.Module) -> Iterator[str]:
    """The texts that an expression may come to, followed through names and calls of its module."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.value
        return
    nodes: Iterator[ast.expr] = iter(())
    if isinstance(node, ast.IfExp):
        nodes = iter((node.body, node.orelse))
    elif isinstance(node, ast.BoolOp):
        nodes = iter(node.values)
    elif isinstance(node, ast.Name):
        nodes = values_of(node.id, scope, module)
    elif isinstance(node, ast.Call):
        nodes = returned_by(node, module)
    for inner in nodes:
        yield from words_in(inner, scope, module)


def values_of(name: str, scope: ast.AST, module: ast.Module) -> Iterator[ast.expr]:
    """What is assigned to a name, in its function or in the module; of several at once, its own."""
    for node in (*ast.walk(scope), *module.body):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id == name:
                yield node.value
            elif isinstance(target, ast.Tuple):
                names = [e.id if isinstance(e, ast.Name) else "" for e in target.elts]
                if name in names:
                    yield from element_of(node.value, names.index(name), module)


def element_of(value: ast.expr, at: int, module: ast.Module) -> Iterator[ast.expr]:
    """One of the values that are given together."""
    if isinstance(value, ast.Tuple):
        yield value.elts[at]
    elif isinstance(value, ast.IfExp):
        yield from element_of(value.body, at, module)
        yield from element_of(value.orelse, at, module)
    elif isinstance(value, ast.Call):
        for inner in returned_by(value, module):
            yield from element_of(inner, at, module)


def returned_by(call: ast.Call, module: ast.Module) -> Iterator[ast.expr]:
    """What a function of the same module may give."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    for function in ast.walk(module):
        if isinstance(function, ast.FunctionDef) and function.name == name:
            for inner in ast.walk(function):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield inner.value


def told_by(path: Path) -> Iterator[tuple[str, str, int]]:
    """The (table, word, line) of all that a module of the core may tell."""
    module = parsed(path)
    for function in ast.walk(module):
        if not isinstance(function, ast.FunctionDef):
            continue
        for call in ast.walk(function):
            if not isinstance(call, ast.Call):
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            name = call.func.id if isinstance(call.func, ast.Name) else name
            if name not in MAKERS:
                continue
            given: list[ast.expr] = []
            for argument in call.args:
                starred = isinstance(argument, ast.Starred) and isinstance(
                    argument.value, ast.Tuple
                )
                given += argument.value.elts if starred else [argument]  # type: ignore[attr-defined]
            arguments: list[tuple[str, ast.expr]] = [
                (MAKERS[name][at], value) for at, value in enumerate(given) if at in MAKERS[name]
            ]
            arguments += [(k.arg, k.value) for k in call.keywords if k.arg in TABLES]
            for table, value in arguments:
                for word in words_in(value, function, module):
                    if word:
                        yield table, word, call.lineno


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_what_the_core_may_tell_is_in_the_tables(path: Path) -> None:
    unknown = [
        f"{path.name}:{line}: {word} is no {table}"
        for table, word, line in told_by(path)
        if word not in TABLES[table]
    ]
    assert not unknown


def test_this_reading_of_the_source_sees_what_it_should() -> None:
    """Were the makers of alerts renamed, the test above would see nothing and pass."""
    told = {(table, word) for path in MODULES for table, word, _ in told_by(path)}
    assert {word for table, word in told if table == "kind"} == set(KINDS)
    seen = {word for table, word in told if table in ("reason", "closed_reason")}
    # Told by `reconcile`, or read from another table of the core.
    by_cause = {value for name, value in vars(Cause).items() if name.isupper()}
    elsewhere = {"strap_opened", "case_opened", "still_open", "proposal", "extended"}
    elsewhere |= {"over_7_days", "over_30_days", "over_30_days_in_two_months"}
    assert set(REASONS) - seen <= elsewhere | by_cause
    assert by_cause <= set(REASONS)
    assert {word for table, word in told if table == "severity"} <= set(SEVERITIES)


def test_every_kind_reason_ground_and_measure_is_told_somewhere() -> None:
    literals = {
        node.value
        for path in MODULES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    for table in (KINDS, REASONS, GROUNDS, MEASURES, PHASES, SEVERITIES):
        assert set(table) - literals == set()


def test_the_core_and_the_tables_speak_of_the_same_kinds_and_severities() -> None:
    assert list(SEVERITIES) == list(RANKS)
    assert OF_CITY < OF_PLACE < set(KINDS)
    assert set(BREACHES) < set(KINDS)
    assert Wanted("tamper", 1, 0, "", "").severity in SEVERITIES
    notices = {name for name, kind in KINDS.items() if kind.notice}
    assert notices == {"approval", "authorisation", "permit_expiry"}


@pytest.mark.parametrize(
    "table",
    [KINDS, REASONS, PHASES, SEVERITIES, GROUNDS, MEASURES],
    ids=lambda table: next(iter(table)),
)
def test_every_code_has_a_label_in_both_languages(table: dict[str, tuple[str, ...]]) -> None:
    labels_zh = [labels[1] for labels in table.values()]
    for code, labels in table.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", code)
        assert labels[0].strip() == labels[0] != ""
        assert re.search(r"[\u4e00-\u9fff]", labels[1]), code
    assert len(set(labels_zh)) == len(labels_zh)  # nobody can take one for another


# -- what is told in truth -----------------------------------------------------------------------


@cache
def told() -> tuple[dict[str, Any], ...]:
    """The alerts of a recording in which everything happens, and of the three cases."""
    replay = Replay(Intake(zones_for("440300")), rules_from(Settings()))
    alerts = list(replay.feed(everything()))
    for case in CASES:
        path = str(recording_path(case))
        with open_recording(path) as stream:
            alerts += replay.feed(read_recording(stream, path))
    return (*alerts, *replay.finish())


def test_the_recording_has_an_alert_of_every_kind() -> None:
    assert {alert["data"]["kind"] for alert in told()} == set(KINDS)


def test_the_words_of_every_alert_are_in_the_tables() -> None:
    for alert in told():
        data = alert["data"]
        assert data["kind"] in KINDS
        assert data["reason"] in REASONS
        assert data["severity"] in SEVERITIES
        assert data["phase"] in PHASES
        assert alert["type"] == f"geomon.alert.{data['phase']}"
        proposal = data["proposal"]
        if proposal:
            assert set(proposal) == {"action", "ground", "evidence"}
            assert proposal["action"] in MEASURES
            assert proposal["ground"] in GROUNDS
            assert proposal["evidence"][0] == data["episode"]


def test_every_alert_is_named_by_what_was_decided() -> None:
    counted: dict[str, int] = {}
    opened: set[str] = set()
    for alert in told():
        data = alert["data"]
        episode = data["episode"]
        assert AN_ID.fullmatch(episode)
        assert episode == f"{alert['subject']}/{data['kind']}/{data['since']}"
        # Numbered from one, without a gap; the first opens it.
        counted[episode] = counted.get(episode, 0) + 1
        assert alert["id"] == f"{episode}#{counted[episode]}"
        if data["phase"] == "opened":
            opened.add(episode)
        assert episode in opened, alert["id"]
        assert data["since"] <= data["detected"] == alert["time"]
        if data["phase"] == "closed":
            assert data["since"] <= data["until"] <= data["detected"]
        else:
            assert data["until"] is None


def test_a_cause_is_an_earlier_episode_of_the_same_person() -> None:
    known: set[str] = set()
    causes = set()
    for alert in told():
        data = alert["data"]
        if data["cause"]:
            assert data["cause"] in known, alert["id"]
            assert data["cause"].startswith(alert["subject"] + "/")
            causes.add((data["cause"].split("/")[1], data["kind"]))
        known.add(data["episode"])
    assert {("low_battery", "lost_contact"), ("tamper", "lost_contact")} <= causes
    assert ("off_itinerary", "overdue_return") in causes


def test_detail_is_plain_json_and_times_in_it_are_rfc_3339() -> None:
    def look(value: object, where: str) -> None:
        if isinstance(value, dict):
            assert all(isinstance(name, str) and name.islower() for name in value), where
            for inner in value.values():
                look(inner, where)
        elif isinstance(value, list):
            for inner in value:
                look(inner, where)
        else:
            assert value is None or isinstance(value, str | int | float | bool), where
            if isinstance(value, str) and value.startswith("2024-"):
                assert re.fullmatch(r"2024-\d\d-\d\dT\d\d:\d\d:\d\dZ", value), where

    for alert in told():
        # As it goes over the wire: no NaN, which is not JSON.
        sent = json.loads(json.dumps(alert, allow_nan=False))
        assert set(sent["data"]) == set(told()[0]["data"])  # every member always there
        look(sent["data"]["detail"], alert["id"])


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("lost_contact", {"device", "last_heard"}),
        ("no_fix", {"device", "last_heard", "last_fix"}),
        ("low_battery", {"device", "battery_pct", "charging"}),
        ("missed_check_in", {"missed", "windows"}),
        ("tamper", {"device", "found"}),
        ("spoofing", {"device", "found"}),
        ("separation", {"distance_m", "phone_lon", "phone_lat", "wristband_lon", "wristband_lat"}),
        ("exclusion_zone", {"zone_id"}),
        ("curfew", {"zone_id"}),
        ("border_approach", {"distance_outside_m"}),
        ("authorisation", {"authorisation_id", "ground", "until"}),
        ("permit_expiry", {"until"}),
        ("approval", {"approver", "approved_by"}),
    ],
)
def test_an_opening_alert_has_the_facts_of_its_kind(kind: str, names: set[str]) -> None:
    openings = [
        alert["data"]["detail"]
        for alert in told()
        if (alert["data"]["kind"], alert["data"]["phase"]) == (kind, "opened")
    ]
    assert openings
    for detail in openings:
        assert names <= set(detail)


def test_an_episode_can_be_disposed_of_by_its_name() -> None:
    """What goes out as `episode` comes back in a disposal."""
    assert episode_id("SZ-0001", "tamper", 1_707_796_800) == "SZ-0001/tamper/2024-02-13T04:00:00Z"
    for name in {alert["data"]["episode"]: None for alert in told()}:
        whose, kind, since = name.split("/")
        disposal = {"type": "disposal", "supervisee_id": whose, "episode": name, "officer": "o-12"}
        event, _ = decode(json.dumps(disposal | {"time": "2024-02-13T12:00:00+08:00"}).encode())
        disposed = paper(event, 0)
        assert getattr(disposed, "kind", "") == kind
        assert iso_utc(getattr(disposed, "since_s", 0)) == since
