"""Every module says truly what it offers, by its `__all__` and its examples."""

from __future__ import annotations

import ast
import doctest
import importlib
from functools import cache
from pathlib import Path

import pytest
from pages import MODULES, ROOT


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
