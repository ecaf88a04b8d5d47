"""Alerts in the form in which they left, read: from the log in Redis, from Kafka, from a file.

An alert carries its evidence, a kilobyte or two, and a reader may go through hundreds of thousands
of them. So each reader says what it asks of an alert's data, and the rest is never built.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

__all__ = ["AlertData", "AlertForm", "AlertReader", "AwareTime", "Phase"]

AwareTime = Annotated[datetime, msgspec.Meta(tz=True)]
Phase = Literal["opened", "updated", "closed"]

_ID = re.compile(r"(.+)#([1-9][0-9]{0,8})", re.DOTALL)


class AlertData(msgspec.Struct, kw_only=True, gc=False):
    """What every reader asks of an alert's data; a reader adds its own to it."""

    episode: str
    kind: str
    phase: Phase


Data = TypeVar("Data", bound=AlertData)
Read = TypeVar("Read")


class AlertForm(msgspec.Struct, Generic[Data], gc=False):
    """An alert (CloudEvents form), as far as it is asked for."""

    id: str
    type: str
    subject: str
    time: AwareTime
    data: Data

    @property
    def number(self) -> int:
        """Which of its episode's alerts it is, from 1; raises `ValueError` when none is named."""
        name = _ID.fullmatch(self.id)
        if name is None or name[1] != self.data.episode:
            raise ValueError("not an alert: its id is not a number of its episode")
        return int(name[2])


class AlertReader(Generic[Data]):
    """Reads alerts as one form, given as `AlertForm[...]`.

    Methods raise `ValueError`, in one line, for what is none.
    """

    def __init__(self, form: type[AlertForm[Data]]) -> None:
        self._form = form
        self._decoder = msgspec.json.Decoder(form)

    def decode(self, raw: bytes) -> AlertForm[Data]:
        """Read an alert from its JSON."""
        return _read(self._decoder, raw)

    def decode_whole(self, raw: bytes) -> tuple[AlertForm[Data], dict[str, Any]]:
        """Read an alert from its JSON, and give all of it as well."""
        return self.decode(raw), _read(_whole, raw)

    def convert(self, event: Mapping[str, Any]) -> AlertForm[Data]:
        """Read an alert that has been decoded already."""
        try:
            return msgspec.convert(event, self._form)
        except msgspec.ValidationError as error:
            raise ValueError(f"not an alert: {error}") from None


_whole = msgspec.json.Decoder(dict[str, Any])


def _read(decoder: msgspec.json.Decoder[Read], raw: bytes) -> Read:
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise ValueError(f"not an alert: {error}") from None
    except UnicodeDecodeError:
        # Its own words would show what stands there.
        raise ValueError("not JSON: it is not UTF-8") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
