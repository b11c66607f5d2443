"""What the documentation says of the answers to look-ups."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from service.http.errors import ErrorAnswer, ErrorFields
from service.lookups.schemas import PostView, UserView

_Answers = dict[int | str, dict[str, Any]]


class PendingView(BaseModel):
    """A look-up goes on."""

    status: str = Field(examples=["pending"])
    message: str
    job_id: str = Field(description="Follow it at /jobs/{job_id}, which is also `Location`")
    retry_after_seconds: int


class UserItem(BaseModel):
    """One of several profiles."""

    model_config = ConfigDict(extra="forbid")

    username: str = Field(description="As it was asked for")
    user: UserView | None
    error: ErrorFields | None = Field(description="As the error of a single look-up")
    age_seconds: int | None
    warning: str | None = Field(description="`stale`, or why there is no newer one")


class UserItems(BaseModel):
    """Several profiles, in the order in which they were asked for."""

    items: list[UserItem]


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
_JOB: Final = "job_jegxacjdmuhgbwsjcg2fxbjjo5"
_PENDING: Final = {
    "message": "It is being looked up: ask again, or follow the job.",
    "job_id": _JOB,
    "retry_after_seconds": 2,
}
_MISSING: Final = {
    "code": "not_found",
    "message": "There is no such user.",
    "reason": "user_not_found",
}


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


_FRESHNESS: Final = {
    "ETag": _header("Names this content: send it as `If-None-Match` the next time"),
    "Age": _header("How old the copy is, in seconds"),
    "Cache-Control": _header("`private, max-age=` and for how long it still is fresh"),
    "Warning": _header('`110 - "Response is Stale"`, or `111` and why there is no newer one'),
}
_RETRY: Final = {"Retry-After": _header("When to come again, in seconds")}


def _error(description: str, headers: dict[str, Any] | None = None, **error: Any) -> dict[str, Any]:
    content = {"application/json": {"example": {"error": error}}}
    answer = {"model": ErrorAnswer, "description": description, "content": content}
    return {**answer, "headers": headers} if headers else answer


def _answers(model: type[BaseModel], example: Any, field: str, missing: dict[str, Any]) -> _Answers:
    pending = {"application/json": {"example": {"status": "pending", **_PENDING}}}
    return {
        200: {
            "model": model,
            "description": "A copy: fresh, or stale while it is looked up anew",
            "headers": _FRESHNESS,
            "content": {"application/json": {"example": example}},
        },
        202: {
            "model": PendingView,
            "description": "No copy, and the time to wait is over: the look-up goes on",
            "headers": {"Location": _header("The job that looks"), **_RETRY},
            "content": pending,
        },
        304: {"description": "What `If-None-Match` names is still what there is"},
        404: _error("Instagram has no such thing", **missing),
        422: _error(
            "This names nothing that could be looked up",
            code="invalid_request",
            message=f"{field}: empty",
            fields=[{"field": field, "message": "empty"}],
        ),
        **_TROUBLE,
    }


_TROUBLE: Final[_Answers] = {
    403: _error(
        "Instagram does not show it to the account that looks",
        code="private",
        message="The account is private: only its followers see this.",
        reason="private_account",
    ),
    429: _error(
        "The budget for look-ups is used up, or Instagram asked for a rest",
        _RETRY,
        code="rate_limited",
        message="Every account that looks things up has done enough, or rests, until `until`.",
        reason="lookup_per_hour",
        until="2026-11-20T11:02:11.000Z",
        retry_after_seconds=2123,
    ),
    502: _error(
        "Instagram could not be read, and there is no copy",
        _RETRY,
        code="upstream_error",
        message="Instagram could not be read, and there is no copy: ask again later.",
        reason="timed_out",
        retry_after_seconds=60,
    ),
    503: _error(
        "No account can look (`account_held`, `no_account`), or Redis does not answer",
        _RETRY,
        code="account_held",
        message="Every account that looks things up is stopped: see GET /accounts, resume one.",
        reason="challenge_required",
        since="2026-11-20T10:26:48.509Z",
        retry_after_seconds=60,
    ),
}

USER: Final = _answers(UserView, _USER, "username", _MISSING)
POST: Final = _answers(
    PostView,
    _POST,
    "shortcode",
    {"code": "not_found", "message": "There is no such post.", "reason": "media_not_found"},
)

_ITEM: Final = {"username": "Some.Handle", "user": _USER, "error": None}
_GONE: Final = {"username": "nobody.here", "user": None, "error": _MISSING}
USERS: Final[_Answers] = {
    200: {
        "model": UserItems,
        "description": "An item for each, in order; as lines in the order in which they come",
        "content": {
            "application/json": {
                "example": {
                    "items": [
                        {**_ITEM, "age_seconds": 12, "warning": None},
                        {**_GONE, "age_seconds": None, "warning": None},
                    ]
                }
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    },
    422: _error(
        "No username, or more than 50",
        code="invalid_request",
        message="username: give 1 to 50 of them, each as username=NAME",
        fields=[{"field": "username", "message": "give 1 to 50 of them, each as username=NAME"}],
    ),
}
