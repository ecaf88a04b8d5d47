"""The gateway: takes in what phones and wristbands send, and writes contract events to Kafka.

The way of the data:

    bytes -> a protocol's module -> `Report` -> `Door` (identity, limits) -> contract event -> Kafka
          <- the protocol's answer, which comes only when Kafka has it

It keeps nothing of its own, so there may be as many as are needed. Nothing in here judges: neither
Faust nor `geomon.core`, `geomon.stream` or `geomon.zones` is imported.
"""
