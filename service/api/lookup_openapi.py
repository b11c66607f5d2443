"""The documentation of lookup responses."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from service.api.models.answer import keep_nulls
from service.api.models.errors import ErrorBody
from service.api.models.lookups import PendingView, UserItems
from service.lookups.schemas import PostView, UserView

_Responses = dict[int | str, dict[str, Any]]


_USER: Final = {
    "pk": "40000000314",
    "username": "some.handle",
    "full_name": "Some Handle",
    "biography": "Ceramics. Berlin.",
    "is_private": False,
    "is_verified": False,
    "follower_count": 2450,
    "following_count": 311,
    "media_count": 87,
    "profile_pic_url": "https://scontent.cdninstagram.com/v/t51/314.jpg",
}
_POST: Final = {
    "pk": "3700000000000000001",
    "id": "3700000000000000001_40000000314",
    "code": "DNZCmWE8gAB",
    "kind": "reel",
    "taken_at": "2026-11-20T10:26:48Z",
    "caption": "New glazes",
    "like_count": 120,
    "comment_count": 7,
    "view_count": 3410,
    "owner": {"pk": "40000000314", "username": "some.handle"},
    "thumbnail_url": "https://scontent.cdninstagram.com/v/t51/37.jpg",
}
_JOB_ID: Final = "job_jegxacjdmuhgbwsjcg2fxbjjo5"
_PENDING: Final = {
    "message": "The lookup is in progress: try again, or follow the job.",
    "job_id": _JOB_ID,
    "retry_after_seconds": 2,
}
_NOT_FOUND: Final = {
    "code": "not_found",
    "message": "There is no such user.",
    "reason": "user_not_found",
}


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


_FRESHNESS: Final = {
    "ETag": _header("Identifies this content: send it as `If-None-Match` next time"),
    "Age": _header("Age of the copy in seconds"),
    "Cache-Control": _header("`private, max-age=N`: the copy is fresh for N more seconds"),
    "Warning": _header('`110 - "Response is Stale"`, or `111` and why there is no newer copy'),
}
_RETRY: Final = {"Retry-After": _header("When to try again, in seconds")}


def _error(description: str, headers: dict[str, Any] | None = None, **error: Any) -> dict[str, Any]:
    content = {"application/json": {"example": {"error": error}}}
    response = {"model": ErrorBody, "description": description, "content": content}
    return {**response, "headers": headers} if headers else response


def _responses(
    model: type[BaseModel], example: Any, field: str, missing: dict[str, Any]
) -> _Responses:
    pending = {"application/json": {"example": {"status": "pending", **_PENDING}}}
    return {
        200: {
            "model": model,
            "description": "A copy: fresh, or stale while a new lookup runs",
            "headers": _FRESHNESS,
            "content": {"application/json": {"example": example}},
        },
        202: {
            "model": PendingView,
            "description": "No copy within the time to wait; the lookup continues",
            "headers": {"Location": _header("The lookup's job"), **_RETRY},
            "content": pending,
        },
        304: {"description": "The content is still the one that `If-None-Match` names"},
        404: _error("Instagram has no such user or post", **missing),
        422: _error(
            "The identifier is invalid",
            code="invalid_request",
            message=f"{field}: is empty",
            fields=[{"field": field, "message": "is empty"}],
        ),
        **_FAILURES,
    }


_FAILURES: Final[_Responses] = {
    403: _error(
        "Instagram does not show it to the reading account",
        code="private",
        message="The account is private: only its followers see this.",
        reason="private_account",
    ),
    429: _error(
        "All reading accounts are rate limited or cooling down",
        _RETRY,
        code="rate_limited",
        message="All accounts that do lookups are rate limited or cooling down until `until`.",
        reason="lookup_per_hour",
        until="2026-11-20T11:02:11.000Z",
        retry_after_seconds=2123,
    ),
    502: _error(
        "The lookup failed at Instagram, and there is no copy",
        _RETRY,
        code="upstream_error",
        message="The lookup failed at Instagram, and there is no copy: try again later.",
        reason="timed_out",
        retry_after_seconds=60,
    ),
    503: _error(
        "No account may do lookups (`account_held`, `no_account`), or Redis is unavailable",
        _RETRY,
        code="account_held",
        message="All accounts that do lookups are paused or held: GET /accounts shows why.",
        reason="challenge_required",
        since="2026-11-20T10:26:48.509Z",
        retry_after_seconds=60,
    ),
}

USER: Final = _responses(UserView, _USER, "username", _NOT_FOUND)
POST: Final = _responses(
    PostView,
    _POST,
    "shortcode",
    {"code": "not_found", "message": "There is no such post.", "reason": "media_not_found"},
)

_ITEM: Final = {"username": "Some.Handle", "user": _USER, "error": None}
_FAILED_ITEM: Final = {"username": "nobody.here", "user": None, "error": _NOT_FOUND}
USERS: Final[_Responses] = {
    200: {
        "model": UserItems,
        "description": "An item for each username, in order; as NDJSON in order of completion",
        "content": {
            "application/json": {
                "example": keep_nulls(
                    {
                        "items": [
                            {**_ITEM, "age_seconds": 12, "warning": None},
                            {**_FAILED_ITEM, "age_seconds": None, "warning": None},
                        ]
                    }
                )
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    },
    422: _error(
        "No username, or more than 50",
        code="invalid_request",
        message="username: send 1 to 50, each as username=NAME",
        fields=[{"field": "username", "message": "send 1 to 50, each as username=NAME"}],
    ),
}
