"""Every error geomon raises on purpose.

    GeomonError                 the root: catch this to catch all of ours
    ├── UserError               a mistake at the command line; shown as one line, exit 1
    │   ├── SettingsError       a setting that does not exist, does not parse or is out of range
    │   ├── ZoneError           a zone file that is missing, broken or unfit
    │   ├── TrackError          a track file that cannot be read as the format it is said to be
    │   ├── StateError          kept states that cannot be gone on with
    │   └── UnavailableError    what is needed is not there (broker, Redis, an extra)
    └── Refusal                 one event or fix that cannot be accepted; carries its reason

Bad input in a stream is not an error of the program: decoding turns it into a `Refusal`, which is
counted and kept, and the stream goes on.
"""

from __future__ import annotations

__all__ = [
    "GeomonError",
    "Refusal",
    "SettingsError",
    "StateError",
    "TrackError",
    "UnavailableError",
    "UserError",
    "ZoneError",
]


class GeomonError(Exception):
    """The root of geomon's errors."""


class UserError(GeomonError):
    """A mistake that the person at the command line can mend; its text is one line."""


class SettingsError(UserError):
    """A setting that does not exist, does not parse or is out of its range."""


class ZoneError(UserError):
    """A zone file that is missing, broken or unfit for its use."""


class TrackError(UserError):
    """A track file that cannot be read as the format it is said to be."""


class StateError(UserError):
    """The states kept of people are not what a worker can go on with: lost, or another layout."""


class UnavailableError(UserError):
    """A service or an optional package that is needed is not there."""


class Refusal(GeomonError):  # noqa: N818  (not an error of the program: a verdict on input)
    """One event or one fix that cannot be accepted.

    `reason` is a code from `geomon.refusals.REASONS`; `detail` says which field and what was wrong,
    without repeating a position or a name.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
