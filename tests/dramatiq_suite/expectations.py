"""Which of Dramatiq's own tests run here, and which of those cannot pass, each with its reason.

The first list may only shrink: the run fails when one of it passes, or when another test fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: About workers, actors, what middleware is told, and the broker on Redis. The others are about the
#: command line, RabbitMQ, the broker in memory, rate limiters, and encoders.
FILES: Final = (
    "test_actors.py",
    "test_broker.py",
    "test_callbacks.py",
    "test_composition.py",
    "test_generic_actors.py",
    "test_messages.py",
    "test_redis.py",
    "test_results.py",
    "test_worker.py",
)

_NO_DEAD_LETTERS: Final = (
    "There are no dead letters: a message is a wake-up, and the ledger sends another one for "
    "whatever is not done. A failed message is dropped."
)
_UNKNOWN_ACTORS: Final = (
    "A message for an actor that this release does not have is dropped with one line in the log: "
    "it would occupy a slot, and be a dead letter that nobody reads."
)
_BATCHES: Final = (
    "The test counts calls of Dramatiq's script for one message; messages are acknowledged in "
    "batches by another script. tests/actors/dramatiq_async/test_dispatcher.py tries the same."
)
_RABBITMQ: Final = "It makes a broker on RabbitMQ, whose client library is not installed."

KNOWN_FAILURES: Final[Mapping[str, str]] = {
    "test_actors.py::test_messages_belonging_to_missing_actors_are_rejected": _UNKNOWN_ACTORS,
    "test_actors.py::test_worker_handles_non_numeric_eta_and_logs_warning": (
        "The message is processed as in the test, but an odd `eta` is ignored without a warning."
    ),
    "test_actors.py::test_workers_log_rate_limit_exceeded_errors_differently": (
        "The test looks for a debugging line in Dramatiq's words. Here RateLimitExceeded is no "
        "error either, but nothing is logged below `info`."
    ),
    "test_broker.py::test_broker_uses_rabbitmq_if_not_set": _RABBITMQ,
    "test_broker.py::test_can_instantiate_brokers_without_middleware": _RABBITMQ,
    "test_redis.py::test_redis_consumer_ack_can_retry_on_connection_error": _BATCHES,
    "test_redis.py::test_redis_consumer_nack_can_retry_on_connection_error": _BATCHES,
    "test_redis.py::test_redis_messages_belonging_to_missing_actors_are_rejected": _UNKNOWN_ACTORS,
    "test_redis.py::test_redis_messages_can_be_dead_lettered": _NO_DEAD_LETTERS,
}

_REDIS_AT_ITS_PORT: Final = (
    "It connects Dramatiq's own broker to whatever is at port 6379 of this machine."
)

#: Not run, since whether they pass says nothing about Heliograph.
LEFT_OUT: Final[Mapping[str, str]] = {
    "test_actors.py::test_actors_can_prioritize_work": (
        "A message starts as soon as it arrives; priorities only order those that wait. So it "
        "depends on which of two sleeping threads wakes first after the pause."
    ),
    "test_redis.py::test_redis_broker_can_connect_via_client": _REDIS_AT_ITS_PORT,
    "test_redis.py::test_redis_broker_can_connect_via_url": _REDIS_AT_ITS_PORT,
}
