"""The ledger over an empty store."""

from tests.jobs.conftest import ledger

__all__ = ["ledger"]
