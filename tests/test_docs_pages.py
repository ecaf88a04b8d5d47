"""The READMEs and pages say what the program does; what they show typed is what it prints."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import click
import pytest
from pages import READMES, ROOT, blocks, inline, sections, transcript

from geomon.cli import cli
from geomon.core.evidence import SOURCES


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
        "COLUMNS": "40",  # in a pipe no line is folded
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
            f"{source.anywhere_share:.1%}".replace("%", " %") if source.anywhere_share else "none",
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
