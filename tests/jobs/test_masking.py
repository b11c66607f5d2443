"""What of an answer shows a person, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from service.jobs.masking import mask

MASKED = {"masked": True}


@pytest.mark.parametrize(
    ("shown", "masked"),
    [
        ({"to": "jenny", "kind": "dm"}, {"to": "***", "kind": "dm"}),
        ({"to": None, "metadata": None}, {"to": None, "metadata": None}),
        ({"metadata": {"jenny": 1}}, {"metadata": MASKED}),
        ({"items": [{"pk": "314159", "id": "job_1"}]}, {"items": [{"pk": "***", "id": "job_1"}]}),
        (
            {"error": {"code": "x", "message": "no jenny"}},
            {"error": {"code": "x", "message": "***"}},
        ),
        ({"photo": {"sha256": "a", "width": 1}}, {"photo": {"sha256": "***", "width": 1}}),
        ({"message": "sent now"}, {"message": "sent now"}),
        ({"thread": {"id": "1", "url": "https://x/1"}}, {"thread": {"id": "***", "url": "***"}}),
        (
            {"links": {"profile": "https://x/jenny", "post": None}},
            {"links": {"profile": "***", "post": None}},
        ),
        (
            {"result": {"settled": {"by": "api:ops", "note": "she called"}}},
            {"result": {"settled": {"by": "api:ops", "note": "***"}}},
        ),
        (
            {"hold": {"reason": "paused", "note": "holidays"}},
            {"hold": {"reason": "paused", "note": "holidays"}},
        ),
        (
            {"report": {"from": "2026-11-01", "to": "2026-11-30"}},
            {"report": {"from": "2026-11-01", "to": "2026-11-30"}},
        ),
        (
            {"payload": {"data": {"metadata": {"a": 1}, "status": "failed"}}},
            {"payload": {"data": {"metadata": MASKED, "status": "failed"}}},
        ),
        ({"body": {"text": "a document"}}, {"body": "***"}),
        ([1, "text", None, True], [1, "text", None, True]),
    ],
)
def test_what_shows_a_person_is_masked_and_nothing_else(shown: Any, masked: Any) -> None:
    assert mask(shown) == masked
