"""What the gateway's tests share: examples of hypothesis may take as long as they take."""

from __future__ import annotations

from hypothesis import settings

# On a machine that does other work as well, a slow example is not a wrong one.
settings.register_profile("without a deadline", deadline=None)
settings.load_profile("without a deadline")
