"""Settings: the table of them, where their values come from, and what the core is told of them.

`geomon config show` prints each value, its unit and where it came from; the reference in the
documentation is checked against the table.
"""

from __future__ import annotations

from geomon.settings.rules import rules_from
from geomon.settings.sources import Sourced, WatchedSettings, load, strange_variables
from geomon.settings.table import Settings

__all__ = ["Settings", "Sourced", "WatchedSettings", "load", "rules_from", "strange_variables"]
