"""What one setting's value does not say alone: how far it may go, and what it must agree with."""

from __future__ import annotations

from geomon.errors import SettingsError
from geomon.settings.table import Settings

__all__ = ["check"]

_DAY_H, _MOST_OFFSET_H = 24, 14
_LONGEST_ASKED_S = 3600


def check(settings: Settings) -> None:
    """Check what one setting alone does not say; raises `SettingsError`."""
    if not -_MOST_OFFSET_H <= settings.utc_offset_h <= _MOST_OFFSET_H:
        raise SettingsError(f"utc_offset_h must be between -{_MOST_OFFSET_H} and {_MOST_OFFSET_H}")
    for name in ("check_ins", "ask_interval_s", "asks_a_day"):
        if any(number != round(number) for number in getattr(settings, name)):
            raise SettingsError(f"{name} must be whole numbers")
    if max(settings.ask_interval_s) > _LONGEST_ASKED_S:
        raise SettingsError(f"ask_interval_s must be at most {_LONGEST_ASKED_S} s")
    # With a canary missed now and then, and one on its way, a partition that is well stays so.
    if settings.canary_s and settings.canary_silence_s < 2 * settings.canary_s:
        raise SettingsError(
            f"canary_silence_s = {settings.canary_silence_s:g} must be at least twice "
            f"canary_s = {settings.canary_s:g}"
        )
    _check_check_ins(settings)


def _check_check_ins(settings: Settings) -> None:
    for begin_h, end_h, windows, window_min in zip(
        settings.check_in_from_h,
        settings.check_in_until_h,
        settings.check_ins,
        settings.check_in_window_min,
        strict=True,
    ):
        if not begin_h < end_h <= _DAY_H:
            raise SettingsError(
                f"check_in_from_h must be before check_in_until_h, and that at most {_DAY_H}"
            )
        # Windows are looked for one by one: a million of them a day would take all time there is.
        if windows * window_min > (end_h - begin_h) * 60:
            raise SettingsError(
                f"check_ins of {windows:g} windows of check_in_window_min = {window_min:g} min "
                f"do not fit between {begin_h:g} and {end_h:g} h"
            )
