"""The pure core: `step(person, event, rules) -> person, outcomes`.

Nothing here reads a clock, a file or a network. Times are whole POSIX seconds (UTC) in fields that
end in `_s`; distances are metres, positive outside the city; positions are WGS-84.

the way of an event

    step.py       the one door: an event in, outcomes out, deadlines that fell due on the way
    observed.py   what comes in         quick.py     uploads from which nothing follows
    entries.py    what officers enter   person.py    what is known of one person
    judge.py      the episodes there ought to be, of every kind, and when to look again
    episodes.py   what ought to be against what has been said -> opened, updated, closed
    rules.py      what can be set       severity.py  how grave, and graver with age

where a person is, judged anew each time from the whole history

    evidence.py   what one fix is worth, from distance, accuracy and source
    history.py    the last hours of evidence, the same whatever the order of arrival
    horizon.py    how far back that is
    belief.py     evidence in time order -> inside, outside, unknown, and since when
    travel.py     how far anybody gets  geodesy.py   distances
    absence.py    left, not back, off itinerary          permits.py   what leave covers
    fences.py     places named for one person            schedules.py when

what arrived and what did not, judged going on from the open episode

    contact.py    lost contact, no position, low battery approach.py  near the line
    checkins.py   windows kept and missed                plans.py     what a level asks
    signs.py      tampering, and all that only an officer settles
    spoofing.py   faked positions                        companions.py  phone and wristband
    papers.py     orders, permits, approvals             law.py       clocks and proposals
    requests.py   asking a device for more fixes

for whoever asks afterwards

    account.py    each fix behind a belief, and what it contributed
"""
