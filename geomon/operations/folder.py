"""The folder for a worker's local files: whether it can be had, asked before it is needed."""

from __future__ import annotations

import os
from pathlib import Path

from geomon.errors import SettingsError

__all__ = ["existing", "make_folder"]


def existing(folder: Path) -> Path:
    """Give the folder, or what there is above it, where it can be made.

    Raises `SettingsError` when it cannot be made or written to.
    """
    there = folder
    try:
        there = folder.resolve()
        while not there.exists():
            there = there.parent
    except (OSError, RuntimeError) as error:  # a name too long, no right to look, links in a ring
        raise SettingsError(f"data_dir {folder}: {error}") from None
    if not there.is_dir():
        raise SettingsError(f"data_dir {folder}: {there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise SettingsError(f"data_dir {folder}: nothing may be written to {there}")
    return there


def make_folder(folder: Path) -> None:
    """Make it when it is not there; raises `SettingsError`.

    Faust makes it in the middle of its start, and a worker would end with a traceback.
    """
    existing(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"data_dir {folder}: {error.strerror}") from None
