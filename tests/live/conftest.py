"""The ledger over an empty store."""

from tests.jobs.conftest import books

__all__ = ["books"]
