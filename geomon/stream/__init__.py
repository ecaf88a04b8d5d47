"""The Faust worker: events from Kafka, state in a table, alerts to Kafka and Redis.

    worker.py   the app: topics, agent, timer, and the order in which things are made safe
    desk.py     the people of this worker's partitions: batches and deadlines through the core
    people.py   the table their states are kept in

Only this folder imports Faust.
"""
