"""The ledger over an empty store, and what shows and erases persons in it."""

from __future__ import annotations

from tests.jobs.conftest import ledger

__all__ = ["ledger"]
