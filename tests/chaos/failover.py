"""A store with a replica that lags, and the ways in which the replica takes over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from deploy.local.wait import until
from tests.chaos.relay import Relay
from tests.chaos.store_servers import HOST, MASTER, Server, sentinel_server, store_server


class Failover:
    """A primary, a replica behind a line that delays, and an address that moves.

    Parameters:
      binary: The program of both servers.
      directory: Where they keep their files.
    """

    def __init__(self, binary: str, directory: Path) -> None:
        self.primary, self.replica = (
            store_server(binary, directory / name) for name in ("one", "two")
        )
        self._binary, self._directory = binary, directory
        self._now = self.primary
        self._stack = ExitStack()
        self.address = Relay(lambda: self._now.url)
        self.line = Relay(lambda: self.primary.url)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Run both servers and start the replication."""
        with self._stack as stack:
            for each in (self.primary, self.replica, self.address, self.line):
                stack.enter_context(each)
            line = self.line.url(self.primary.url).rpartition(":")[2].partition("/")[0]
            self.replica.ask("REPLICAOF", HOST, line)
            self.catch_up()
            yield

    @property
    def url(self) -> str:
        """What the processes are told."""
        return self.address.url(self.primary.url)

    def catch_up(self) -> None:
        """Wait until the replica has all that the primary has."""

        def is_there() -> bool:
            self.primary.ask("SET", "mark", "1")
            return bool(self.replica.ask("EXISTS", "mark"))

        until(is_there, 20, "the replica")
        self.primary.ask("DEL", "mark")
        until(lambda: not self.replica.ask("EXISTS", "mark"), 20, "the replica")

    def watch(self) -> Server:
        """Start a Sentinel, and wait until it has found the replica."""
        sentinel = sentinel_server(self._binary, self._directory / "sentinel", self.primary)
        self._stack.enter_context(sentinel)
        until(lambda: sentinel.ask("SENTINEL", "REPLICAS", MASTER), 20, "the Sentinel's replica")
        return sentinel

    def promote(self) -> None:
        """Make the replica a primary."""
        self.replica.ask("REPLICAOF", "NO", "ONE")

    def rejoin(self) -> None:
        """Start the old primary again, as a replica that does not lag."""
        self.primary.kill()
        self.primary.start()
        self.primary.ask("REPLICAOF", HOST, str(self.replica.port))

    def move_address(self) -> None:
        """Lead the processes to the replica, and cut what they have under way."""
        self._now = self.replica
        self.address.cut()


def by_sentinel(failover: Failover) -> None:
    """Kill the primary; Sentinel promotes the replica, and the address follows its answer."""
    sentinel = failover.watch()
    failover.primary.kill()

    def has_moved() -> bool:
        _, port = sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        is_named = int(port) == failover.replica.port
        return is_named and failover.replica.ask("ROLE")[0] == b"master"

    until(has_moved, 30, "Sentinel's failover")
    failover.move_address()


def by_moving_the_address(failover: Failover) -> None:
    """Promote the replica while the primary lives, and move the address to it."""
    failover.promote()
    failover.move_address()


def by_restarting_the_replica(failover: Failover) -> None:
    """Kill both servers, and start the replica as a primary that remembers no other."""
    failover.primary.kill()
    failover.replica.kill()
    failover.replica.start()
    failover.move_address()


#: How a replica takes over, by name.
PROMOTIONS: Final[Mapping[str, Callable[[Failover], None]]] = {
    "Sentinel": by_sentinel,
    "a moved address": by_moving_the_address,
    "a restarted replica": by_restarting_the_replica,
}
