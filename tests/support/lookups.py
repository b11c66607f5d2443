"""Lookups for tests of the web tier, and a worker's part in them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

import httpx

from deploy.local.wait import until
from service.jobs.model import Failure, Status
from service.lookups.shared_cache import LookupCache, LookupState
from service.lookups.targets import LookupTarget
from tests.support.ledger import SECOND, LedgerHarness
from tests.support.web import WebHarness

PROFILE: Final[Mapping[str, Any]] = {
    "pk": "40000000314",
    "username": "some.handle",
    "full_name": "Some Hándle",
    "biography": "Ceramics.",
    "is_private": False,
    "is_verified": False,
    "follower_count": 2450,
    "following_count": 311,
    "media_count": 87,
    "profile_pic_url": None,
}


POST = {
    "pk": "3700000000000000001",
    "id": "3700000000000000001_314",
    "code": "DNZCmWE8gAB",
    "kind": "photo",
    "taken_at": "2026-11-20T10:26:48Z",
    "caption": "",
    "like_count": 1,
    "comment_count": None,
    "view_count": None,
    "owner": {"pk": "314", "username": "some.handle"},
    "thumbnail_url": None,
}


def new_username(prefix: str = "u") -> str:
    """A username that nobody has looked up, so that no process has it cached."""
    return f"{prefix}{uuid.uuid4().hex[:12]}"


def pending_lookups(web: WebHarness, count: int = 1) -> list[str]:
    """The unfinished lookups, once there are at least `count`, oldest first."""

    def there() -> list[str]:
        items = web.api.get("/jobs", params={"kind": "lookup"}).json()["items"]
        found = [each["id"] for each in items if each["finished_at"] is None]
        return found[::-1] if len(found) >= count else []

    return until(there)


def finish_lookup(ledger: LedgerHarness, job_id: str, **changes: Any) -> dict[str, Any]:
    """Finish a lookup as a worker that has found a profile; return the profile."""
    claim = ledger.claim(job_id)
    found = {**PROFILE, "username": claim.job.to.removeprefix("@"), **changes}
    ended = ledger.run(ledger.claims.finish(claim, Status.SUCCEEDED, result=found))
    assert ended == "ok"
    return found


def fail_lookup(ledger: LedgerHarness, job_id: str, code: str) -> None:
    """Fail a lookup as a worker that got an error from Instagram."""
    failure = Failure(code, "A job's own sentence.")
    step = ledger.claims.finish(ledger.claim(job_id), Status.FAILED, failure=failure)
    assert ledger.run(step) == "ok"


def cache_profile(
    web: WebHarness, ledger: LedgerHarness, name: str, **changes: Any
) -> dict[str, Any]:
    """Look up a profile so that it is cached; return it."""
    assert web.api.get(f"/users/{name}", params={"wait": 0}).status_code == 202
    [job_id] = pending_lookups(web)
    return finish_lookup(ledger, job_id, **changes)


class LookupHarness:
    """The lookup cache over a test ledger.

    Parameters:
      ledger: The ledger.
      readers: The accounts that do lookups.
      fresh_ms: The maximum age of a cached result.
      patience_ms: The longest time that a caller waits.
    """

    def __init__(
        self,
        ledger: LedgerHarness,
        *readers: str,
        fresh_ms: int = 300 * SECOND,
        patience_ms: int = 25 * SECOND,
    ) -> None:
        self.ledger = ledger
        self._fresh_ms = fresh_ms
        self._cache = LookupCache(ledger.client, ledger.script_config, readers, patience_ms)

    def request(self, name: str) -> LookupState:
        """Get a profile, or start its lookup."""
        target = LookupTarget("user", name)
        return self.ledger.run(self._cache.get_or_start(target, self._fresh_ms, "test"))

    def state(self, name: str) -> LookupState:
        """The cached state of a profile."""
        return self.ledger.run(self._cache.get(LookupTarget("user", name)))

    def request_new(self, name: str) -> str:
        """Start the lookup of a profile; return its job id."""
        job_id = self.request(name).job_id
        assert job_id is not None
        return job_id


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error of a response."""
    error: dict[str, Any] = answer.json()["error"]
    return error


def list_jobs(web: WebHarness, **query: Any) -> list[dict[str, Any]]:
    """The jobs that the API lists.

    Parameters:
      web: The web server.
      query: Filters.
    """
    items: list[dict[str, Any]] = web.api.get("/jobs", params=query).json()["items"]
    return items
