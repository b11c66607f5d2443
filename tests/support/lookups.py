"""Look-ups for tests of the web tier: what Instagram would say, and workers that say it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from service.jobs.model import Failure, Status
from tests.support.ledgers import Books
from tests.support.web import Door, until

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


def new_name(prefix: str = "u") -> str:
    """A username that nobody has asked for, of which no process has a copy."""
    return f"{prefix}{uuid.uuid4().hex[:12]}"


def flying(door: Door, count: int = 1) -> list[str]:
    """The look-ups that go on once there are so many, oldest first."""

    def there() -> list[str]:
        items = door.api.get("/jobs", params={"kind": "lookup"}).json()["items"]
        found = [each["id"] for each in items if each["finished_at"] is None]
        return found[::-1] if len(found) >= count else []

    return until(there)


def land(books: Books, job_id: str, **changes: Any) -> dict[str, Any]:
    """End a look-up as a worker that has found a profile; returns the profile."""
    claim = books.claim(job_id)
    found = {**PROFILE, "username": claim.job.to.removeprefix("@"), **changes}
    ended = books.run(books.claims.finish(claim, Status.SUCCEEDED, result=found))
    assert ended == "ok"
    return found


def fail(books: Books, job_id: str, code: str) -> None:
    """End a look-up as a worker that Instagram has refused."""
    failure = Failure(code, "A job's own sentence.")
    step = books.claims.finish(books.claim(job_id), Status.FAILED, failure=failure)
    assert books.run(step) == "ok"


def known(door: Door, books: Books, name: str, **changes: Any) -> dict[str, Any]:
    """Have a profile looked up; returns it."""
    assert door.api.get(f"/users/{name}", params={"wait": 0}).status_code == 202
    [job_id] = flying(door)
    return land(books, job_id, **changes)
