"""Persons in a test's ledger: shown and erased as the API does it."""

from __future__ import annotations

from typing import Any

from service.jobs.audit_log import Requester
from service.jobs.lua.builder import ScriptConfig
from service.people.erasure import Erasure, PersonErasure
from service.people.index import PersonIndex
from service.people.report import PersonReport, ReportSources
from tests.support.encryption import CIPHER
from tests.support.ledger import LedgerHarness

ACCOUNTS = ("shop", "studio")


def erase(
    ledger: LedgerHarness, asked: str = "some.handle", config: ScriptConfig | None = None
) -> Erasure:
    """Erase a person, in one call."""
    erasure = PersonErasure(ledger.client, config or ledger.script_config, ACCOUNTS)
    return ledger.run(erasure.erase(asked, Requester("api:test")))


def show(
    ledger: LedgerHarness,
    asked: str = "some.handle",
    *,
    cursor: int | None = None,
    limit: int = 50,
    config: ScriptConfig | None = None,
) -> dict[str, Any]:
    """A page of what is kept about a person."""
    used = config or ledger.script_config
    sources = ReportSources.of(ledger.client, used, CIPHER)
    report = PersonReport(ledger.client, used, sources, ACCOUNTS)
    return ledger.run(report.page(asked, cursor=cursor, limit=limit))


def job_ids(page: dict[str, Any]) -> list[str]:
    """The jobs of a page, newest first."""
    return [job["id"] for job in page["items"]]


def complete_index(ledger: LedgerHarness, config: ScriptConfig | None = None) -> int:
    """List all jobs under their persons; returns how many were not."""
    index = PersonIndex(ledger.client, config or ledger.script_config)
    progress = ledger.run(index.complete(1_000_000))
    assert progress.is_complete
    return progress.listed
