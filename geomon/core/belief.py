"""From evidence in time order to a belief: inside, outside or unknown, and since when.

A two-state filter. It holds the log-odds of being outside and takes one piece of evidence after
the other:

1. *Time passes.* Old belief fades: p moves slowly towards 1/2 as a two-state Markov chain does, by
   CROSSINGS_PER_H. And whoever was inside may have left: for a position well outside, p moves to
   AWAY within half an hour or so. So what such a position has to say shrinks with the time since
   the last one: 15 seconds after a good one inside it is 6.4 nats, after ten minutes 5.5, after an
   hour 4.5. Who reports more often is looked at more often, and would be accused falsely more
   often: so false alarms a year are about the same however often that is.
2. *Errors repeat.* A position wrong by 300 m is wrong by 300 m a minute later. Evidence that
   points the way the last one did counts for 1 - exp(-dt / correlation time of its source).
   Satellite positions a little beyond the line are wrong together for as long as the device lies
   between the same walls. And the same wrong place comes again, whatever is said in between: a mast
   across the river, an access point that moved house, a position out of a phone's cache. What was
   seen there, contradicted, and is seen there again says little for hours from then on, and the
   longer the oftener that was so, up to a day.
3. *Doubt.* Part of an error never averages out: the map's, an access point's, that of the walls
   around. So evidence that someone believed inside has left counts in full from twice DOUBT on, and
   not at all below DOUBT, where they could well be inside still: whoever lives beside the line is
   not walked across it by many small errors. Evidence of a return always counts in full, or those
   who live there would never be seen to come home.
4. *Travel.* A position further out than anybody is likely to have come since the last evidence of
   being inside is no departure, whatever its source: it does not count until it could be one.
5. *Weigh in*, and stay within +-CEILING: however long someone has been at home, a departure needs
   the same evidence, CEILING + SURE = 6.5 nats less what time has taken. One satellite fix gives
   that beyond six kilometres or so, after an hour of silence beyond half of one; else a second one
   a minute later must agree; a WiFi or cell fix never does alone.
6. *Turn.* At +SURE the label is outside, at -SURE inside; between them it stays what it was. The
   stay began with the first evidence that pointed there and was not taken back since.

A wristband is on the body and a phone may be left at home: while a wristband reports, and for
BAND_HOLD_S after, the phone is not asked.

The filter is a left fold, so it can stop anywhere and go on, and its result depends on the
evidence alone. Someone plainly inside stays at the ceiling, and a stretch of minutes inside costs
the same as its first few.
"""

from __future__ import annotations

from math import exp, log

from geomon.core.evidence import SOURCE_CODE, SOURCES
from geomon.core.history import Inside, Item, Minutes, walk
from geomon.core.person import INSIDE, OUTSIDE, UNKNOWN, Belief, Mark, Run, Sighting, Stay
from geomon.core.travel import likely_m
from geomon.core.tuning import CITY, Tuning

__all__ = [
    "AWAY",
    "BAND_HOLD_S",
    "faded",
    "fold",
    "is_settled_inside",
    "take",
]

AWAY = 0.2  # how likely it is at most, in the first hours, that someone has left unseen
CROSSINGS_PER_H = 0.02  # about one a fortnight, either way
BAND_HOLD_S = 6 * 3600
#: Evidence weaker than this says too little to name the place by.
_PLACE_WEIGHT = 3.0
#: Places remembered of one stay: enough for weeks of travel, bounded for the sake of the state.
_MOST_RUNS = 64

_WIFI, _CELL = SOURCE_CODE["wifi"], SOURCE_CODE["cell"]
#: One position outside by these is never enough, unless little is asked for (`Tuning.alone_s`).
_NEVER_ALONE = (_WIFI, _CELL)
#: How long the same wrong place may come again. Satellite positions (out of a cache) and masts are
#: the very same then; a position by WiFi is worked out anew each time.
_GHOST_S = _MOVED_HOUSE_S = 2 * 3600
_SAME_M = tuple(100 if source.name == "wifi" else 0 for source in SOURCES)
#: Contradicted oftener than this, it says little for no longer than a day: a place that was wrong
#: each noon of a year is still one where somebody may be now.
_MOST_TIMES = 12
#: Evidence of being inside that contradicts what was seen outside.
_CONTRADICTS = -1.0
_MOST_SIGHTINGS = 4
#: Between these (satellite positions some 170 and 310 m out) reflections get rarer.
_WALLS = (3.8, 4.45)
#: Likewise, some 270 and 600 m out: reflections are none.
_WELL_OUTSIDE = (4.3, 4.8)
_WALLS_S = 1400

#: By how much positions may be off, beside what lies between them.
_SLACK_M = tuple(
    {"gnss": 1_000.0, "unknown": 1_000.0}.get(source.name, 2_000.0) for source in SOURCES
)

_CORRELATION_S = tuple(source.correlation_s for source in SOURCES)
_FADE_PER_S = 2 * CROSSINGS_PER_H / 3600
_LEAVING_S = 1800


def is_settled_inside(belief: Belief, tuning: Tuning = CITY) -> bool:
    """Say whether further evidence of being inside can change nothing but the time."""
    return (
        belief.label == INSIDE
        and belief.turn_s == 0
        and belief.log_odds <= -tuning.ceiling
        and not belief.sightings
    )


def take(belief: Belief, item: Item | Mark, tuning: Tuning = CITY) -> Stay | None:
    """Take one piece of evidence into `belief` (in place); give the stay that it ended, if any.

    `item` must not be older than `belief.at_s`. A `Mark` weighs in hundredths of a nat.
    """
    time_s, weight, source, device, place, far_m = item
    if isinstance(item, Mark):
        weight /= 100
    if not _is_asked(belief, time_s, device):
        return None
    belief.last_s = time_s
    leaning = 1 if weight > 0 else -1
    doubted = tuning.doubtful and belief.label != OUTSIDE
    news = _news_of_sighting(belief, item, weight) if doubted else 1.0
    if leaning < 0:
        belief.inside_s = time_s
    elif _is_out_of_reach(belief, time_s, source, far_m):
        return None
    if weight >= _PLACE_WEIGHT:
        belief.runs = _seen(belief.runs, place, time_s)
    doubted, alone = doubted and leaning > 0, weight
    if doubted:
        weight = _beyond_doubt(belief, weight, source, tuning) * news * _news_of_wifi(belief, item)
        if not weight:
            return None
    if weight >= tuning.doubt:
        belief.outside_s = time_s
    log_odds = belief.log_odds
    if belief.at_s:
        elapsed_s = time_s - belief.at_s
        log_odds = faded(log_odds, elapsed_s, alone)
        if leaning == belief.leaning:
            lasts_s = _lasts_s(weight, source) if doubted else _CORRELATION_S[source]
            weight *= 1 - exp(-elapsed_s / lasts_s)
    log_odds += weight
    is_first = leaning != belief.leaning and time_s - belief.inside_s < tuning.alone_s
    if doubted and is_first and source in _NEVER_ALONE:
        log_odds = min(log_odds, tuning.sure - tuning.second)
    _mark_turn(belief, leaning, log_odds, time_s)
    belief.at_s = time_s
    belief.leaning = leaning
    belief.log_odds = min(max(log_odds, -tuning.ceiling), tuning.ceiling)

    sure = tuning.sure
    label = OUTSIDE if log_odds >= sure else INSIDE if log_odds <= -sure else UNKNOWN
    return _turned(belief, label, log_odds, time_s) if label != UNKNOWN else None


def _turned(belief: Belief, label: int, log_odds: float, time_s: int) -> Stay | None:
    """Put a label that is sure on `belief`; give the stay that this ended, if any."""
    if label == belief.label:
        belief.turn_s = 0
        if label == INSIDE:
            belief.runs = ()
        else:
            belief.peak = max(belief.peak, log_odds)
        return None
    ended = Stay(
        *(belief.label, belief.since_s, belief.turn_s, time_s, belief.peak, belief.runs),
        belief.outside_s,
    )
    if label == INSIDE:
        belief.runs = ()
    belief.label = label
    belief.sightings = ()
    belief.since_s = belief.turn_s
    belief.turn_s = 0
    # Only outside: a stretch inside is not gone through item by item.
    belief.peak = log_odds if label == OUTSIDE else 0.0
    return None if ended.label == UNKNOWN else ended


def _is_asked(belief: Belief, time_s: int, device: int) -> bool:
    """Say whether a device's evidence counts; a wristband's always does, and that is kept."""
    if device:
        belief.band_s = time_s
    return bool(device) or not belief.band_s or time_s - belief.band_s > BAND_HOLD_S


def _is_out_of_reach(belief: Belief, time_s: int, source: int, far_m: float) -> bool:
    """Say whether nobody can have come so far out since the last evidence of being inside."""
    known_s = belief.inside_s
    if belief.label == OUTSIDE or not known_s:
        return False
    return far_m > likely_m(time_s - known_s, _SLACK_M[source])


def _news_of_wifi(belief: Belief, item: Item | Mark) -> float:
    """Give how much of a WiFi position is not what one in the same place had said before."""
    if item.source != _WIFI:
        return 1.0
    same = belief.wifi_s and abs(item.far_m - belief.wifi_far_m) <= _SAME_M[_WIFI]
    news = 1 - exp(-(item.time_s - belief.wifi_s) / _MOVED_HOUSE_S) if same else 1.0
    belief.wifi_s, belief.wifi_far_m = item.time_s, item.far_m
    return news


def _news_of_sighting(belief: Belief, item: Item | Mark, weight: float) -> float:
    """Give how much of a position outside is not what was said before, and contradicted since.

    The time since counts from the last one that was contradicted, and no sighting moves it, or who
    is really there would be believed the less the longer they are.
    """
    if weight <= 0:
        if weight <= _CONTRADICTS:
            _contradict(belief)
        return 1.0
    if isinstance(item, Item):
        # A fence's minute has no place: one stray position would stand for all there are away.
        return 1.0
    said = Sighting(item.source, item.far_m, item.time_s)
    belief.sightings = (*belief.sightings, said)[-_MOST_SIGHTINGS:]
    for ghost in belief.ghosts:
        if _is_same_place(ghost, said):
            # States written before there was a most may have more.
            lasts_s = _GHOST_S * min(ghost.times, _MOST_TIMES)
            return 1 - exp(-(said.seen_s - ghost.seen_s) / lasts_s)
    return 1.0


def _is_same_place(one: Sighting, other: Sighting) -> bool:
    same_m = _SAME_M[one.source]
    return one.source == other.source and abs(one.far_m - other.far_m) <= same_m


def _contradict(belief: Belief) -> None:
    """Note that what has been seen outside was nothing, as far as can be said."""
    for said in belief.sightings:
        same = [ghost for ghost in belief.ghosts if _is_same_place(ghost, said)]
        others = [ghost for ghost in belief.ghosts if ghost not in same]
        times = min(1 + sum(ghost.times for ghost in same), _MOST_TIMES)
        belief.ghosts = (*others, said._replace(times=times))[-_MOST_SIGHTINGS:]
    belief.sightings = ()


def _beyond_doubt(belief: Belief, weight: float, source: int, tuning: Tuning) -> float:
    """Give what is left of evidence of having left, of someone believed inside (nats)."""
    doubt = tuning.doubt_of_cells if source == _CELL else tuning.doubt
    if belief.label != INSIDE:
        return weight
    return min(weight, max(2 * (weight - doubt), 0.0))


def faded(log_odds: float, elapsed_s: float, weight: float) -> float:
    """Give the log-odds after a time in which nothing was heard, for evidence of a weight (nats).

    That someone may have left meanwhile counts for positions well outside only: those near the line
    are as likely to be wrong as ever.
    """
    p = 1 / (1 + exp(-log_odds))
    away = AWAY * _share(weight, *_WELL_OUTSIDE)
    if p < away:
        p = away + (p - away) * exp(-elapsed_s / _LEAVING_S)
    p = 0.5 + (p - 0.5) * exp(-_FADE_PER_S * elapsed_s)
    return log(p / (1 - p))


def _share(weight: float, least: float, most: float) -> float:
    """Give where a weight lies between two others: 0 at the least and below, 1 at the most."""
    return min(max((weight - least) / (most - least), 0.0), 1.0)


def _lasts_s(weight: float, source: int) -> float:
    """Give how long the error behind evidence of having left lasts, among walls or beyond them."""
    correlation_s = _CORRELATION_S[source]
    if correlation_s >= _WALLS_S:
        return correlation_s
    return float(_WALLS_S * (correlation_s / _WALLS_S) ** _share(weight, *_WALLS))


def _mark_turn(belief: Belief, leaning: int, log_odds: float, time_s: int) -> None:
    """Keep the time of the first evidence against the label that has not been taken back since."""
    if belief.label == UNKNOWN:
        if leaning != belief.leaning or not belief.turn_s:
            belief.turn_s = time_s
    elif leaning == (1 if belief.label == OUTSIDE else -1):
        if log_odds * leaning >= 0:
            belief.turn_s = 0
    elif belief.turn_s == 0:
        belief.turn_s = time_s


def fold(
    belief: Belief,
    inside: Minutes,
    origin_min: int,
    marks: tuple[Mark, ...],
    tuning: Tuning = CITY,
) -> list[Stay]:
    """Take a whole history into `belief` (in place); give the stays that ended, in time order."""
    stays = []
    for entry in walk(inside, origin_min, marks):
        if isinstance(entry, Mark):
            stay = take(belief, entry, tuning)
            if stay:
                stays.append(stay)
            continue
        for item in entry.items():
            stay = take(belief, item, tuning)
            if stay:
                stays.append(stay)
            if is_settled_inside(belief, tuning):
                _skip(belief, entry)
                break
    return stays


def _skip(belief: Belief, stretch: Inside) -> None:
    """Pass over the rest of a stretch inside: from the ceiling it leads back to the ceiling."""
    band_s, phone_s = stretch.last_s(1), stretch.last_s(0)
    belief.band_s = max(belief.band_s, band_s)
    belief.at_s = max(belief.at_s, band_s)
    belief.inside_s = max(belief.inside_s, band_s)
    belief.last_s = max(belief.last_s, band_s)
    if not belief.band_s or phone_s - belief.band_s > BAND_HOLD_S:
        belief.at_s = max(belief.at_s, phone_s)
        belief.inside_s = max(belief.inside_s, phone_s)
        belief.last_s = max(belief.last_s, phone_s)


def _seen(runs: tuple[Run, ...], place: str, time_s: int) -> tuple[Run, ...]:
    if runs and runs[-1].place == place:
        return (*runs[:-1], runs[-1]._replace(last_s=time_s))
    if len(runs) == _MOST_RUNS:
        return _seen(_thinned(runs), place, time_s)
    return (*runs, Run(place, time_s, time_s))


def _thinned(runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """Give the places of a stay without the one between two others that follow fastest.

    So those that are left are spread over the whole stay. Were the oldest dropped, an episode that
    is named by when they began would be another with each report; were the newest, somebody beside
    the border of a destination would be said to have been elsewhere for days. The next place takes
    the time of the one dropped; where it is the one before again, it goes as well.
    """
    between = range(1, len(runs) - 1)
    at = min(between, key=lambda n: (runs[n + 1].first_s - runs[n - 1].first_s, -n))
    before, dropped, later = runs[at - 1 : at + 2]
    kept = () if later.place == before.place else (later._replace(first_s=dropped.first_s),)
    return (*runs[:at], *kept, *runs[at + 2 :])
