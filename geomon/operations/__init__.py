"""What keeps a worker in sight: metrics, health, canaries, logs, and the doctor.

Nothing in here judges, and nothing in `geomon.core` knows of it. Faust is not imported here, so
that `geomon doctor` and `geomon watch`, which look from outside, need none of it.
"""
