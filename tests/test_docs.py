"""The documentation says what the program does: nothing missing, nothing made up."""

from __future__ import annotations

import ast
import asyncio
import doctest
import importlib
import os
import re
import shlex
import stat
import subprocess
import sys
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import pytest
import redis
from click.testing import CliRunner

from geomon import alerts, events
from geomon.cases import recording_path
from geomon.cli import cli, main
from geomon.cloudevent import cloud_event
from geomon.core.episodes import Alert
from geomon.core.evidence import SOURCES
from geomon.core.person import Clue
from geomon.core.rules import Rules
from geomon.embedded.redis import EmbeddedRedis
from geomon.intake import Intake, Raw, Rejected
from geomon.rejections import rejection_record
from geomon.replay import Replay, open_recording, read_recording
from geomon.settings import Settings
from geomon.sinks.redis import RedisSink
from geomon.topics import ALERTS, EVENTS, REJECTED, changelog_of
from geomon.zones.index import ZoneIndex

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(path for path in (ROOT / "geomon").rglob("*.py") if path.name != "__main__.py")
READMES = ("README.md", "README.zh.md")

Row = list[str]


class Section(NamedTuple):
    """A part of a page: its text, and its tables as rows of cells, headings left out."""

    text: str
    tables: list[list[Row]]

    def keyed(self, table: int = 0) -> dict[str, Row]:
        """Rows by the code in their first cell; a code that stands twice is a mistake."""
        rows = self.tables[table]
        keyed = {code(row[0]): row for row in rows}
        assert len(keyed) == len(rows), "a row stands twice"
        return keyed


def code(cell: str) -> str:
    """What a cell has between backticks; the cell itself when it has none."""
    found = re.search(r"`([^`]*)`", cell)
    return found[1] if found else cell


def sections(name: str) -> dict[str, Section]:
    """The sections of a page, by their headings without backticks."""
    page = (ROOT / name).read_text("utf-8")
    parts = re.split(r"^#{1,3} (.+)$", page, flags=re.MULTILINE)
    return {
        heading.replace("`", ""): Section(text, list(_tables(text)))
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def _tables(text: str) -> Iterator[list[Row]]:
    for is_table, group in groupby(text.splitlines(), lambda line: line.startswith("|")):
        if is_table:
            rows = [
                [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
                for line in group
            ]
            yield rows[2:]


REFERENCE = sections("docs/reference.md")


# -- commands ---------------------------------------------------------------------------------


def commands(group: click.Group = cli, path: str = "geomon") -> dict[str, click.Command]:
    """Every command that does something, by what is typed to call it."""
    found: dict[str, click.Command] = {}
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= commands(command, f"{path} {name}")
        else:
            arguments = [p for p in command.params if isinstance(p, click.Argument)]
            shown = "".join(f" {argument.make_metavar(context)}" for argument in arguments)
            found[f"{path} {name}{shown}"] = command
    return found


COMMANDS = commands()


def test_every_command_is_in_the_reference_and_no_other() -> None:
    documented = {heading for heading in REFERENCE if heading.startswith("geomon ")}
    assert documented == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_in_the_reference(name: str) -> None:
    """Its name, whether it may be repeated, its default, and what may be chosen."""
    command = COMMANDS[name]
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert command.help, "no help"
    rows = {code(row[0]).split()[0]: row for row in REFERENCE[name].tables[0]}
    assert set(rows) == {"/".join([*o.opts, *o.secondary_opts]) for o in options}
    for option in options:
        row = rows["/".join([*option.opts, *option.secondary_opts])]
        assert ("×" in row[0]) == option.multiple, option.opts
        assert row[1].strip("`") == default_of(option), option.opts
        if isinstance(option.type, click.Choice):
            for choice in option.type.choices:
                assert f"`{choice}`" in "".join(row[1:]), f"{option.opts} {choice}"


def default_of(option: click.Option) -> str:
    """An option's default as the reference writes it; empty when it has none."""
    if option.required:
        return "required"
    default = option.to_info_dict()["default"]
    if option.is_flag:
        both = [*option.opts, *option.secondary_opts]
        return both[0 if default else 1] if option.secondary_opts and default is not None else ""
    return "" if default in (None, "", ()) else str(default)


@pytest.mark.parametrize("arguments", ["config show --json", "zones where --json 114.0545,22.5445"])
def test_every_field_of_json_rows_is_in_the_reference(arguments: str) -> None:
    done = CliRunner().invoke(cli, arguments.split())
    assert done.exit_code == 0, done.output
    section = next(
        REFERENCE[name] for name in COMMANDS if name.startswith(f"geomon {arguments[:9]}")
    )
    listed = re.search(r"JSON fields:(.*?)\. ?(?:\n\n| [A-Z])", section.text + "\n\n", re.DOTALL)
    assert listed
    documented = re.findall(r"`(\w+)`", listed[1])
    assert documented == list(msgspec.json.decode(done.output.splitlines()[0]))


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["zones", "where", "114.0545,22.5445"], "0"),
        (["zones", "where", "nowhere"], "1"),
        (["no-such-command"], "2"),
    ],
)
def test_exit_codes_are_those_of_the_reference(
    arguments: list[str], exit_code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exit_code in REFERENCE["Exit codes"].keyed()
    monkeypatch.setattr(sys, "argv", ["geomon", *arguments])
    try:
        main()
        left = 0
    except SystemExit as end:
        left = int(end.code or 0)
    assert str(left) == exit_code


# -- settings and environment -----------------------------------------------------------------


def test_every_setting_is_in_the_reference_with_default_unit_and_meaning() -> None:
    def written(value: Any) -> str:
        return ",".join(value) if isinstance(value, list) else str(value)

    standard = Settings()
    wanted = [
        [f.name, written(getattr(standard, f.name)), f.metadata["unit"], f.metadata["meaning"]]
        for f in fields(Settings)
    ]
    assert [[cell.strip("`") for cell in row] for row in REFERENCE["Settings"].tables[0]] == wanted


def test_every_environment_variable_is_in_the_reference() -> None:
    used: set[str] = set()
    for path in [*MODULES, *(ROOT / "tests").rglob("*.py")]:
        if path != Path(__file__).resolve():
            used |= set(re.findall(r"GEOMON_[A-Z_]*[A-Z]", path.read_text("utf-8")))
    settings = {f"GEOMON_{f.name.upper()}" for f in fields(Settings)}
    documented = set(REFERENCE["Environment"].keyed())
    assert documented == (used - settings) | {"GEOMON_<SETTING>"}


# -- events and refusals ----------------------------------------------------------------------

EVENT_TYPES = {str(kind.__struct_config__.tag): kind for kind in typing.get_args(events.Event)}


def fields_of(struct: type[msgspec.Struct]) -> dict[str, bool]:
    """The fields of an event as they are written, and whether each is required."""
    return {f.encode_name: f.required for f in msgspec.structs.fields(struct)}


def test_every_field_of_every_event_is_in_the_reference() -> None:
    common = {field: "required" in row[1] for field, row in REFERENCE["Events in"].keyed().items()}
    assert common == {"type": True, "supervisee_id": True, "received": False}
    for kind, struct in EVENT_TYPES.items():
        tables = REFERENCE[kind].tables
        documented = {code(r[0]): "required" in r[1] for r in (tables[0] if tables else [])}
        of_its_own = {k: v for k, v in fields_of(struct).items() if k not in common}
        assert documented == of_its_own, kind
    of_a_fix = {f: "required" in row[1] for f, row in REFERENCE["upload"].keyed(1).items()}
    assert of_a_fix == fields_of(events.Fix)


def test_no_event_is_in_the_reference_that_does_not_exist() -> None:
    headings = list(REFERENCE)
    between = headings[headings.index("Events in") + 1 : headings.index("Refusals")]
    assert set(between) == set(EVENT_TYPES)


def test_limits_of_events_are_those_of_the_reference() -> None:
    text = REFERENCE["Events in"].text
    assert f"{events.MAX_BYTES:,} bytes" in text
    assert f"{events.MAX_FIXES:,}\nfixes" in text
    accuracy = REFERENCE["upload"].keyed(1)["accuracy_m"][2]
    for source in SOURCES:
        assert f"{source.default_accuracy_m:,.0f} ({source.name})" in accuracy


def labelled(section: str) -> dict[str, tuple[str, ...]]:
    """A table of codes with their words in English and Chinese."""
    return {key: tuple(row[1:3]) for key, row in REFERENCE[section].keyed().items()}


def test_every_refusal_is_in_the_reference_with_its_words() -> None:
    assert labelled("Refusals") == dict(events.REASONS)


def test_every_field_of_a_refusal_is_in_the_reference() -> None:
    record = rejection_record(Rejected(Raw(b"{", "somewhere:1"), "broken_json", ""))
    assert list(REFERENCE["Refusals"].keyed(1)) == list(record)


# -- alerts -----------------------------------------------------------------------------------


def test_every_kind_is_in_the_reference_with_its_words() -> None:
    assert labelled("Kinds") == {k: (v.label_en, v.label_zh) for k, v in alerts.KINDS.items()}
    for kind, row in REFERENCE["Kinds"].keyed().items():
        assert row[4] == alerts.KINDS[kind].meaning


@pytest.mark.parametrize(
    ("section", "table"),
    [("Phases", alerts.PHASES), ("Severities", alerts.SEVERITIES), ("Reasons", alerts.REASONS)],
)
def test_every_phase_severity_and_reason_is_in_the_reference(
    section: str, table: Mapping[str, tuple[str, str]]
) -> None:
    assert labelled(section) == dict(table)


def test_every_field_of_an_alert_is_in_the_reference(zones: ZoneIndex) -> None:
    clue = Clue(1, 114.0, 22.0, "wgs84", 10.0, "gnss", "phone", 1.0, 1.0, 114.0, 22.0, "441900")
    alert = Alert(
        *("opened", "SZ-1", "leave_city", 1, 0, 1, 1, "outside_without_leave", "high"),
        *(0.9, "441900", "", "440304", "", (clue,), 0),
    )
    event = cloud_event(alert, rules="r", zones=zones)
    page = REFERENCE["Alerts out"]
    assert list(page.keyed(0)) == list(event)
    assert list(page.keyed(1)) == list(event["data"])
    assert list(page.keyed(2)) == list(event["data"]["position"])
    assert list(page.keyed(3)) == list(event["data"]["evidence"][0])


def test_every_topic_is_in_the_reference() -> None:
    documented = set(REFERENCE["Kafka topics"].keyed())
    assert documented == {EVENTS, ALERTS, REJECTED, changelog_of("<app_id>")}


@pytest.fixture(scope="module")
def alerted_redis(zones: ZoneIndex) -> Iterator[tuple[str, set[str]]]:
    """A Redis that the alerts of case C were delivered to, and the channels they went through."""
    replay = Replay(Intake(zones), Rules())
    path = str(recording_path("C"))
    with open_recording(path) as recording:
        found = [*replay.feed(read_recording(recording, path)), *replay.finish()]

    async def deliver(url: str) -> None:
        sink = RedisSink(url)
        try:
            await sink.deliver(found)
        finally:
            await sink.close()

    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
        with client.pubsub() as listener:
            listener.psubscribe("*")
            assert listener.get_message(timeout=5.0)  # that it listens
            asyncio.run(deliver(server.url))
            channels: set[str] = set()
            while len(channels) < 2 and (message := listener.get_message(timeout=5.0)):
                channels.add(message["channel"].decode())
        yield server.url, channels


def test_every_key_and_channel_in_redis_is_in_the_reference(
    alerted_redis: tuple[str, set[str]],
) -> None:
    url, channels = alerted_redis
    section = REFERENCE["Redis"]
    with redis.Redis.from_url(url) as client:
        keys: Any = client.keys("*")
        found = {key.decode() for key in keys}
        log: Any = client.xrange("geomon:alerts:log", count=1)
        # The hash of what is open is gone once the person is back.
        always = {k.replace("<supervisee_id>", "SZ-0003") for k in section.keyed()}
        assert found == always - {"geomon:open:SZ-0003"}
        assert all(f"`{name.decode()}`" in section.text for name in log[0][1])
    assert channels == {c.replace("<district>", "440303") for c in section.keyed(1)}


# -- the READMEs ------------------------------------------------------------------------------


def blocks(name: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    page = (ROOT / name).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


def transcript(name: str) -> list[tuple[str, str]]:
    """The commands typed in a page's sessions, and what each is said to have printed."""
    parts = re.split(r"^\$ (.*)\n", "".join(blocks(name, "console")), flags=re.MULTILINE)
    assert not parts[0]
    return list(zip(parts[1::2], parts[2::2], strict=True))


def test_both_readmes_have_the_same_sections_and_the_same_sessions() -> None:
    levels = [
        [
            line.split()[0]
            for line in (ROOT / name).read_text("utf-8").splitlines()
            if line[:1] == "#"
        ]
        for name in READMES
    ]
    assert levels[0] == levels[1]
    assert transcript(READMES[0]) == transcript(READMES[1])
    shell = [
        [line.split("#")[0] for block in blocks(n, "sh") for line in block.splitlines()]
        for n in READMES
    ]
    assert [line.rstrip() for line in shell[0]] == [line.rstrip() for line in shell[1]]


def test_readme_is_no_longer_than_two_screens() -> None:
    for name in READMES:
        assert len((ROOT / name).read_text("utf-8").splitlines()) <= 100, name


def test_make_knows_what_the_readme_says_to_make() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for name in READMES:
        said = re.findall(r"\bmake (\w+)", " ".join([*blocks(name, "sh"), *inline(name)]))
        assert said
        assert set(said) <= targets


def inline(name: str) -> list[str]:
    """What stands between single backticks in a page."""
    page = re.sub(r"^```.*?^```$", "", (ROOT / name).read_text("utf-8"), flags=re.M | re.S)
    return re.findall(r"`([^`\n]+)`", page)


def geomon_lines(typed: Iterable[str]) -> list[list[str]]:
    """The calls of geomon in shell lines, as words, pipes and redirections taken apart."""
    parts = [part for line in typed for part in re.split(r"[|>]", line)]
    calls = [shlex.split(part)[1:] for part in parts if part.split()[:1] == ["geomon"]]
    # How to ask for help is said of no command in particular.
    return [words for words in calls if words[:1] not in (["COMMAND"], ["--version"])]


def find_command(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command or group that words call, and the words that are left for it."""
    command: click.Command = cli
    while words and isinstance(command, click.Group):
        inner = command.get_command(click.Context(command), words[0])
        assert inner is not None, words
        command, words = inner, words[1:]
    return command, words


@pytest.mark.parametrize("name", READMES)
def test_every_command_line_of_a_session_is_understood(name: str) -> None:
    calls = geomon_lines(command for command, _ in transcript(name))
    assert calls
    for words in calls:
        command, arguments = find_command(words)
        command.make_context(command.name, list(arguments))  # raises for what it does not take


@pytest.mark.parametrize("name", [*READMES, "DESIGN.md", "docs/reference.md"])
def test_every_command_mentioned_in_a_page_exists_with_its_options(name: str) -> None:
    for words in geomon_lines(inline(name)):
        command, arguments = find_command(words)
        options = {o for p in command.params for o in [*p.opts, *p.secondary_opts]}
        assert {word for word in arguments if word.startswith("-")} <= options, words


def test_the_session_of_the_readme_prints_what_it_shows(
    tmp_path: Path, alerted_redis: tuple[str, set[str]]
) -> None:
    """Typed into a shell, in order; `cat` shows a file that the reader is thought to have."""
    geomon = tmp_path / "bin" / "geomon"
    geomon.parent.mkdir()
    geomon.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m geomon "$@"\n')
    geomon.chmod(geomon.stat().st_mode | stat.S_IXUSR)
    environment = {
        **os.environ,
        "PATH": f"{geomon.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": "120",
        "GEOMON_REDIS": alerted_redis[0],
    }
    for command, shown in transcript("README.md"):
        words = command.split()
        if words[0] == "cat" and not (tmp_path / words[1]).exists():
            (tmp_path / words[1]).write_text(shown)
        done = subprocess.run(
            ["bash", "-c", command],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed = [line.rstrip() for line in done.stdout.splitlines()]
        assert printed == [line.rstrip() for line in shown.splitlines()], command


def test_design_has_the_numbers_of_the_evidence_model() -> None:
    table = sections("DESIGN.md")["Belief, not point-in-polygon"].keyed()
    assert list(table) == [source.name for source in SOURCES]
    for source in SOURCES:
        assert table[source.name][1:] == [
            f"{source.default_accuracy_m:,.0f} m",
            f"{source.stray_share:.0%}, {source.stray_scale_m:,.0f} m".replace("%", " %"),
            f"{source.gross_share:.0%}, {source.gross_scale_m:,.0f} m".replace("%", " %"),
            f"{source.correlation_s:,.0f} s",
        ]


@pytest.mark.parametrize("name", [*READMES, "DESIGN.md", "docs/reference.md"])
def test_links_between_pages_lead_somewhere(name: str) -> None:
    page = (ROOT / name).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#]+)", page):
        assert target.startswith("https://") or (ROOT / name).parent.joinpath(target).exists(), (
            target
        )
    anchors = {heading.lower().replace(" ", "-") for heading in sections(name)}
    for anchor in re.findall(r"\]\(#([^)]+)\)", page):
        assert anchor in anchors, anchor


# -- the modules ------------------------------------------------------------------------------


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_examples_in_docstrings_are_true() -> None:
    for path in MODULES:
        if ">>>" in path.read_text("utf-8"):
            outcome = doctest.testmod(importlib.import_module(module_name(path)))
            assert outcome.failed == 0, path


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_all_of_a_module_is_sorted_and_true(path: Path) -> None:
    """Names in `__all__` exist and are sorted; what other modules take from it is in there."""
    tree = ast.parse(path.read_text("utf-8"))
    public = public_names(tree)
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    if public is None:
        assert not {name for name in defined if not name.startswith("_")}, "no __all__"
        return
    assert public == sorted(
        public, key=lambda n: (0 if n.isupper() else 1 if n[0].isupper() else 2, n)
    )
    assert len(set(public)) == len(public)
    assert set(public) <= defined | names_bound(tree)
    taken = {name for module, name in imports() if module == module_name(path)}
    assert (taken & defined) <= set(public), "taken by other modules but not public"


def public_names(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def names_bound(tree: ast.Module) -> set[str]:
    """Names that a module binds at its top level by assignment or import."""
    bound: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign):
            bound |= {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            bound.add(node.target.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name for alias in node.names}
    return bound


@cache
def imports() -> frozenset[tuple[str, str]]:
    """What the modules of the package import by name: (module, name)."""
    return frozenset(
        (node.module or "", alias.name)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    )
