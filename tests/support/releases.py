"""Other releases over the same store: one that writes other records, one that knows fewer kinds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from service.jobs.actor_routes import ROUTES
from service.jobs.lua import builder
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.hash_encoding import RECORD_VERSION
from tests.support.ledger import TIMES, LedgerHarness, open_ledger

#: Its events are others than those of this release.
_FIRST_EVENT: Final = 1_000_000


@contextmanager
def newer_release(url: str, script_config: ScriptConfig = TIMES) -> Iterator[LedgerHarness]:
    """Open the ledger of a release that writes records of the next version.

    Parameters:
      url: The store.
      script_config: Leases, retention and limits.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RECORD_VERSION", "PLAIN_RECORD_VERSION"):
            patch.setattr(builder, name, RECORD_VERSION + 1)
        with open_ledger(url, script_config, first_event=_FIRST_EVENT) as ledger:
            patch.undo()  # its scripts are built
            yield ledger


@contextmanager
def release_without(
    kind: str, url: str, script_config: ScriptConfig = TIMES
) -> Iterator[LedgerHarness]:
    """Open the ledger of a release that does not know a kind of job yet.

    Parameters:
      kind: The kind.
      url: The store.
      script_config: Leases, retention and limits.
    """
    with pytest.MonkeyPatch.context() as patch:
        known = {name: route for name, route in ROUTES.items() if name != kind}
        patch.setattr(builder, "ROUTES", known)
        with open_ledger(url, script_config, first_event=_FIRST_EVENT) as ledger:
            patch.undo()  # its scripts are built
            yield ledger
