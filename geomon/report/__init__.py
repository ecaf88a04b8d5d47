"""What the alert log comes to in a period: breaches, alarms, delays, open cases.

The core is one pure function over alerts, without Redis and without a clock:

    from geomon.report import People, Supervised, summarise

    report = summarise(alerts, from_s, until_s, people)
    report.total.breaches["left_without_leave"]   # people (Breach), each once, earliest first
    report.total.alarms["leave_city"]             # alarms raised in the period, by kind
    report.total.alarms_a_person_day              # None where people are not known
    report.total.delay("leave_city")              # (alarms, median_s, p95_s) or None
    report.total.open_cases                       # Case: kind, severity, age_s, proposal
    summarise(alerts, from_s, until_s, people, by="district").groups["440304"].missed_share

`alerts`: CloudEvents (dictionaries as `Replay.feed` gives them) or `LoggedAlert`s (`decode_alert`
of a line, a third of the memory and more), in any order, repeated or not, of the whole log and not
of the period alone. `from_s`, `until_s`: POSIX seconds, the end not in it; None = as far as the log
goes. `people`: a `People` (id → `Supervised`), a number, or None.

    logged    one alert of the log            register  people under supervision
    episodes  alerts put together again       figures   what is counted, and how a rate is made
    summary   the function above              rows      figures as JSON and CSV
    plots     drawings, as SVG                page      the report as one HTML page
"""

from __future__ import annotations

from geomon.report.figures import CATEGORIES, Breach, Case, Delay, Figures
from geomon.report.logged import LoggedAlert, alert_from, decode_alert
from geomon.report.register import People, Supervised, read_register
from geomon.report.summary import GROUPINGS, Report, summarise

__all__ = [
    "CATEGORIES",
    "GROUPINGS",
    "Breach",
    "Case",
    "Delay",
    "Figures",
    "LoggedAlert",
    "People",
    "Report",
    "Supervised",
    "alert_from",
    "decode_alert",
    "read_register",
    "summarise",
]
