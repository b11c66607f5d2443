"""Verification after lost history: a DM may carry the token of a job that the store forgot."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence, Set
from email.utils import formatdate
from typing import Any, Final

import httpx
import pytest

from actors.instagram.idempotency_tokens import client_context_for
from actors.instagram.write_query import LostTime, WriteQuery
from actors.instagram.write_verification import FoundDm, SimilarWriteFound, find_dm

NOW: Final = 1_700_000_000_000
SECOND: Final = 1_000
#: The lost time began and ended so many seconds ago.
BEGAN, ENDED = 300, 60
OURS, OTHER = client_context_for("job_x:1"), client_context_for("job_y:1")


class Thread:
    """An API that shows one thread.

    Parameters:
      items: Its messages.
    """

    def __init__(self, *items: dict[str, Any]) -> None:
        self._thread = {"thread_id": "9", "items": list(items)}
        date = formatdate(NOW / SECOND, usegmt=True)
        self.last_response = httpx.Response(200, headers={"Date": date})

    async def private_request(self, endpoint: str, **_kwargs: Any) -> Any:
        assert endpoint.startswith("direct_v2/threads/")
        return {"thread": self._thread}


def message(seconds_ago: float, **changes: Any) -> dict[str, Any]:
    row = {
        "item_id": "1",
        "user_id": 7,
        "timestamp": round(NOW - seconds_ago * SECOND) * 1_000,
        "text": "Thank you!",
        "client_context": OTHER,
    }
    return row | changes


def search(
    *items: dict[str, Any], known: Sequence[str] = (), owned: Sequence[str] = (), text: str | None
) -> FoundDm | None:
    """Search a thread for a DM that may be one of the lost time.

    Parameters:
      items: The thread's messages.
      known: Tokens of jobs that the store knows.
      owned: Ids of messages that other jobs have claimed.
      text: The DM's text; None for a photo.
    """

    async def known_tokens(_asked: Sequence[str]) -> Set[str]:
        return frozenset(known)

    async def owned_by_others(_asked: Sequence[str]) -> Set[str]:
        return frozenset(owned)

    now = time.monotonic()
    lost = LostTime(now - ENDED, known_tokens)
    query = WriteQuery("7", text, now - BEGAN, OURS, owned_by_others, lost)
    return asyncio.run(find_dm(Thread(*items), "5", query))


def found(*items: dict[str, Any], **facts: Any) -> str | None:
    """The id of the message that is the DM; None if there is none."""
    dm = search(*items, text="Thank you!", **facts)
    return None if dm is None else str(dm.item["item_id"])


def test_a_dm_of_the_lost_time_is_found_by_its_text_whatever_its_token() -> None:
    assert found(message(100)) == "1"
    assert found(message(100, text="Sorry!")) is None


@pytest.mark.parametrize(
    ("seconds_ago", "expected"),
    [(BEGAN + 7, None), (BEGAN + 3, "1"), (ENDED - 3, "1"), (ENDED - 7, None)],
    ids=["before", "at the beginning", "at the end", "afterwards"],
)
def test_only_the_lost_time_counts(seconds_ago: float, expected: str | None) -> None:
    assert found(message(seconds_ago)) == expected


def test_a_dm_of_a_job_that_is_known_or_has_claimed_it_is_another() -> None:
    assert found(message(100), known=[OTHER]) is None
    assert found(message(100), owned=["1"]) is None


def test_the_oldest_of_several_is_taken() -> None:
    third = client_context_for("job_z:1")
    items = (message(100, item_id="2", client_context=third), message(200))
    assert found(*items) == "1"
    assert found(*items, known=[OTHER]) == "2"


def test_its_own_token_comes_first() -> None:
    items = (message(100, item_id="2", client_context=OURS), message(200))
    assert found(*items) == "2"


def test_a_photo_of_the_lost_time_is_doubt_because_photos_look_alike() -> None:
    photo = message(100, item_type="media", text=None)
    with pytest.raises(SimilarWriteFound):
        search(photo, text=None)
    assert search(photo, known=[OTHER], text=None) is None
