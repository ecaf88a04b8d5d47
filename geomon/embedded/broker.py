"""A Kafka broker inside this process, for trying out and for tests.

librdkafka, which the `confluent-kafka` wheel carries, holds a mock cluster: it speaks the Kafka
protocol on a port of 127.0.0.1 from a thread of its own. Its interface is C only; ctypes calls it.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping

from geomon.errors import UnavailableError

__all__ = ["EmbeddedBroker"]

PRODUCER = 0  # rd_kafka_type_t: the handle that owns the cluster has to be of some type
ALL_BROKERS = -1
TOPIC_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")


class EmbeddedBroker:
    """One Kafka broker in this process, with the given topics (name → number of partitions).

    Good for trying out and for tests, and for nothing else: everything is in memory and gone at the
    end, a partition keeps only its newest 5 MB or so, there is no disk, no access control and no
    CreateTopics request. Topics are made here, by `topics` or `create_topic`; **a topic that a
    client merely asks about springs up with 4 partitions**, so declare every one (changelogs too).

        with EmbeddedBroker({"geomon.events": 4}) as broker:
            producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)

    `rebalance_delay_ms`: how long a new consumer group waits for more members before it starts.
    Raises `UnavailableError` when confluent-kafka is missing or a topic cannot be made.
    """

    def __init__(self, topics: Mapping[str, int], rebalance_delay_ms: int = 0) -> None:
        self._topics = dict(topics)
        self._rebalance_delay_ms = rebalance_delay_ms
        self._library: ctypes.CDLL | None = None
        self._handle: int | None = None
        self._cluster: int | None = None

    def __enter__(self) -> EmbeddedBroker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """Where clients find it: `127.0.0.1:PORT`."""
        library, cluster = self._running()
        address: bytes = library.rd_kafka_mock_cluster_bootstraps(cluster)
        return address.decode()

    def start(self) -> None:
        """Open the port and make the topics."""
        if self._cluster is not None:
            raise UnavailableError("the embedded broker is running already")
        library = self._library = _librdkafka()
        trouble = ctypes.create_string_buffer(512)
        conf = library.rd_kafka_conf_new()
        # Only what is wrong: at the default level every start prints that no broker is configured.
        library.rd_kafka_conf_set(conf, b"log_level", b"3", trouble, len(trouble))
        self._handle = library.rd_kafka_new(PRODUCER, conf, trouble, len(trouble))
        if not self._handle:
            library.rd_kafka_conf_destroy(conf)  # taken over only by a handle that came to be
            raise UnavailableError(f"embedded broker: {trouble.value.decode(errors='replace')}")
        self._cluster = library.rd_kafka_mock_cluster_new(self._handle, 1)
        if not self._cluster:
            self.stop()
            raise UnavailableError("embedded broker: no port on 127.0.0.1")
        try:
            library.rd_kafka_mock_group_initial_rebalance_delay_ms(
                self._cluster, self._rebalance_delay_ms
            )
            for name, partitions in self._topics.items():
                self.create_topic(name, partitions)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Close the port and forget everything; harmless when not running."""
        cluster, self._cluster = self._cluster, None
        handle, self._handle = self._handle, None
        if self._library is not None:
            if cluster:
                self._library.rd_kafka_mock_cluster_destroy(cluster)
            if handle:
                self._library.rd_kafka_destroy(handle)

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic; an existing one, or a name or number that Kafka refuses, is an error."""
        library, cluster = self._running()
        if not TOPIC_NAME.fullmatch(name) or name in (".", "..") or partitions < 1:
            raise UnavailableError(f"not a Kafka topic: {name!r} with {partitions} partitions")
        code = library.rd_kafka_mock_topic_create(cluster, name.encode(), partitions, 1)
        if code:
            reason: bytes = library.rd_kafka_err2str(code)
            raise UnavailableError(f"topic {name}: {reason.decode()}")

    def set_round_trip_ms(self, round_trip_ms: int) -> None:
        """Delay every answer by so much, as a broker far away would (0 = none)."""
        library, cluster = self._running()
        code = library.rd_kafka_mock_broker_set_rtt(cluster, ALL_BROKERS, round_trip_ms)
        if code:
            raise UnavailableError("embedded broker: round trip not set")

    def fail_next(self, api_key: int, *errors: int) -> None:
        """Answer the next requests of one kind with these Kafka error codes, one each.

        `api_key` by the Kafka protocol (0 Produce, 1 Fetch, 8 OffsetCommit), errors likewise
        (6 NOT_LEADER_OR_FOLLOWER, 7 REQUEST_TIMED_OUT, 27 REBALANCE_IN_PROGRESS).
        """
        library, cluster = self._running()
        codes = (ctypes.c_int * len(errors))(*errors)
        library.rd_kafka_mock_push_request_errors_array(cluster, api_key, len(errors), codes)

    def _running(self) -> tuple[ctypes.CDLL, int]:
        if self._library is None or self._cluster is None:
            raise UnavailableError("the embedded broker is not running")
        return self._library, self._cluster


def _librdkafka() -> ctypes.CDLL:
    """librdkafka as confluent-kafka itself has it, its functions declared.

    Opened through the extension module that is linked to it: the loader then finds the very same
    library, wherever a wheel or a distribution put it and whatever suffix its name has.
    """
    try:
        from confluent_kafka import cimpl  # noqa: PLC0415  (an extra, needed only here)
    except ImportError as error:
        raise UnavailableError(
            'no embedded broker without confluent-kafka: `pip install "geomon[demo]"`'
        ) from error
    library = ctypes.CDLL(cimpl.__file__)
    pointer, text, number, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
    # Undeclared, ctypes would cut 64-bit pointers to 32 bits.
    functions = {
        "rd_kafka_conf_destroy": (None, [pointer]),
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_conf_set": (number, [pointer, text, text, text, size]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_err2str": (text, [number]),
        "rd_kafka_mock_broker_set_rtt": (number, [pointer, ctypes.c_int32, number]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_cluster_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, number]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_push_request_errors_array": (
            None,
            [pointer, ctypes.c_int16, size, ctypes.POINTER(number)],
        ),
        "rd_kafka_mock_topic_create": (number, [pointer, text, number, number]),
        "rd_kafka_new": (pointer, [number, pointer, text, size]),
    }
    for name, (result, arguments) in functions.items():
        try:
            function = getattr(library, name)
        except AttributeError as error:
            raise UnavailableError(f"this confluent-kafka lacks {name}: take its wheel") from error
        function.restype, function.argtypes = result, arguments
    return library
