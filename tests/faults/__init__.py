"""What fails at night, against real Kafka, a real Redis and workers that are processes.

A test is a timeline: a recording is sent, something fails in the middle of it, and in the end the
alert log must be that of a replay in process: see `Night.ends_as_replayed`.
"""
