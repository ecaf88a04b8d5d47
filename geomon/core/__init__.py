"""The pure core: `step(person, event, rules) -> person, outcomes`.

Nothing here reads a clock, a file or a network. Times are whole POSIX seconds (UTC) in fields that
end in `_s`; distances are metres, positive outside the city; positions are WGS-84.

    step.py      the one door: an event in, outcomes out, deadlines that fell due on the way
    person.py    what is known of one person, small enough to write to a changelog
    evidence.py  what one fix is worth, from distance, accuracy and source
    history.py   the last hours of evidence, the same whatever the order of arrival
    belief.py    evidence in time order -> inside, outside, unknown, and since when
    permits.py   what leave covers, and which destinations it names
    rules.py     belief and permits -> the episodes there ought to be
    episodes.py  what ought to be against what has been said -> opened, updated, closed
"""
