"""The Faust worker: events from Kafka, state in a table, alerts to Kafka and Redis.

    transport ─► inbox ─► desk: rolls of people ─► alerts: sinks, outbox
    changelog ─► people ────────► rolls ─────────► checkpoint ─► outbox ─► changelog

    worker.py       the app: what is made safe, in which order
    transport.py    Faust's consumer: messages in batches, offsets that are safe
    inbox.py        messages between consumer and desk
    desk.py         batches and deadlines through the core
    frontier.py     how far the events have been read
    roll.py         the people of one partition; with deadlines.py and ledger.py
    ledger.py       what of a partition is judged, and what of that is written
    record.py       a person's record in the changelog, stamped with how far it goes
    people.py       the table, as far as Faust sees it: recovery
    checkpoint.py   rounds of writing states
    outbox.py       writes to Kafka, each waited for and repeated
    vitals.py       what the worker tells of itself; census.py counts what is open

Only this folder imports Faust.
"""
