"""Wrong keys are counted by client, within bounds."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from service.http.failed_authentication import (
    MAX_CLIENTS,
    MAX_FAILURES,
    WINDOW_SECONDS,
    FailedAuthentication,
)


class Harness:
    """Failures of clients, on a clock of the test's own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.counted: Counter[str] = Counter()
        self.failures = FailedAuthentication(self._count, lambda: self.now)

    def _count(self, name: str, outcome: str) -> None:
        assert name == "authentication_failed"
        self.counted[outcome] += 1

    def fail(self, client: str = "203.0.113.7", times: int = 1, **has: bool) -> int | None:
        """Let a client fail; return what the last failure was answered."""
        answers = [
            self.failures.add({"client": (client, 1)}, has_key=has.get("has_key", True))
            for _ in range(times)
        ]
        return answers[-1]


def run(scenario: Callable[[Harness], None]) -> None:
    """Run a scenario in an event loop."""

    async def running() -> None:
        scenario(Harness())

    asyncio.run(running())


def test_a_client_with_too_many_wrong_keys_is_told_how_long_to_wait() -> None:
    def scenario(harness: Harness) -> None:
        assert harness.fail(times=MAX_FAILURES) is None
        harness.now += 20.5
        assert harness.fail() == WINDOW_SECONDS - 20
        assert harness.counted == {"wrong_key": MAX_FAILURES, "throttled": 1}

    run(scenario)


def test_it_may_try_again_when_the_window_is_over() -> None:
    def scenario(harness: Harness) -> None:
        harness.fail(times=2 * MAX_FAILURES)
        harness.now += WINDOW_SECONDS
        assert harness.fail(times=MAX_FAILURES) is None
        assert harness.fail() == WINDOW_SECONDS

    run(scenario)


def test_others_are_not_affected_but_neighbours_in_ipv6_are() -> None:
    def scenario(harness: Harness) -> None:
        harness.fail("2001:db8::1", times=MAX_FAILURES)
        assert harness.fail("2001:db8::ffff:2") is not None
        assert harness.fail("2001:db8:0:1::1") is None
        assert harness.fail("203.0.113.8") is None

    run(scenario)


def test_a_request_without_a_key_guesses_nothing() -> None:
    def scenario(harness: Harness) -> None:
        assert harness.fail(times=2 * MAX_FAILURES, has_key=False) is None
        assert harness.fail() is None
        assert harness.counted["missing_key"] == 2 * MAX_FAILURES

    run(scenario)


def test_the_clients_remembered_are_bounded_and_the_latest_stay() -> None:
    def scenario(harness: Harness) -> None:
        harness.fail("203.0.113.7", times=MAX_FAILURES)
        for number in range(MAX_CLIENTS - 1):
            harness.fail(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        assert harness.fail("203.0.113.7") is not None
        harness.fail("192.0.2.1")
        assert len(harness.failures._windows) == MAX_CLIENTS
        assert harness.fail("203.0.113.7") is None

    run(scenario)
