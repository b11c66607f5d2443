"""What callers may ask for: each field checked, each error naming its field and the remedy."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
    WithJsonSchema,
)

from service.config.config import Config
from service.http.errors import ApiError
from service.instagram.ids import InvalidIdentifier, normalise_post, normalise_recipient
from service.jobs.model import DEFAULT_PRIORITY, MAX_DELAY_MS, JobDraft, Pausable, Write
from service.network.urls import MAX_URL_CHARACTERS
from service.photos.photo import PhotoUrl

MAX_TEXT: Final = {"dm": 1000, "comment": 2200}
MAX_METADATA_BYTES: Final = 8 * 1024
#: Far below where JSON writers give up (pydantic's at 255), and it comes back in every answer.
MAX_METADATA_DEPTH: Final = 32
MAX_EXPIRY: Final = timedelta(days=3650)

_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def _whole_characters(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        broken = True
    else:
        broken = False
    if broken:
        raise ValueError("must not have half a surrogate pair in it")
    return text


def _only_rfc3339(given: object) -> object:
    # pydantic would also take numbers, and guess between seconds and milliseconds.
    if given is not None and not (isinstance(given, str) and _RFC3339.fullmatch(given)):
        raise ValueError("must be an RFC 3339 time with its zone, such as 2026-01-31T09:00:00Z")
    return given


def _plain_json(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(json.dumps(metadata, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, RecursionError):
        size = -1
    if size < 0:
        raise ValueError("must be plain JSON (no NaN, no half surrogate pairs, not deep)")
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"must be at most {MAX_METADATA_BYTES} bytes as JSON")
    if _depth(metadata) > MAX_METADATA_DEPTH:
        raise ValueError(f"must be nested at most {MAX_METADATA_DEPTH} levels deep")
    return metadata


def _depth(value: object) -> int:
    level: list[object] = [value]
    depth = 0
    while level:
        depth += 1
        level = [inner for outer in level for inner in _inside(outer)]
    return depth - 1


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


Name = Annotated[StrictStr, Field(min_length=1, max_length=64), AfterValidator(_whole_characters)]
Target = Annotated[StrictStr, Field(max_length=300), AfterValidator(_whole_characters)]
Text = Annotated[
    StrictStr,
    Field(min_length=1, max_length=max(MAX_TEXT.values())),
    AfterValidator(_whole_characters),
]
PhotoLink = Annotated[
    StrictStr, Field(min_length=1, max_length=MAX_URL_CHARACTERS), AfterValidator(_whole_characters)
]
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_only_rfc3339),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Metadata = Annotated[dict[str, Any], AfterValidator(_plain_json)]


class JobRequest(BaseModel):
    """A DM or a comment to be done."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Thank you!"},
                {
                    "kind": "comment",
                    "account": "shop",
                    "post": "https://www.instagram.com/p/CxyZabcDEfg/",
                    "text": "Congratulations!",
                    "delay_seconds": 600,
                },
                {
                    "kind": "dm",
                    "account": "shop",
                    "to": "some.handle",
                    "photo": "https://example.com/receipts/7.png",
                },
            ]
        },
    )

    kind: Write
    account: Name
    to: Target | None = None
    post: Target | None = None
    text: Text | None = None
    photo: Annotated[
        PhotoLink | None,
        Field(description="Of a DM, instead of a text: an https URL that a worker fetches"),
    ] = None
    run_at: Moment | None = None
    delay_seconds: Annotated[float, Field(strict=True, ge=0, le=MAX_DELAY_MS / 1000)] | None = None
    expires_at: Moment | None = None
    priority: Annotated[int, Field(ge=0, le=9, strict=True)] = DEFAULT_PRIORITY
    callback: Name | None = None
    metadata: Metadata | None = None
    dry_run: Annotated[bool, Field(strict=True)] = False

    def draft(self, config: Config, now: datetime, *, uploaded: bool = False) -> JobDraft:
        """The job that is asked for.

        Parameters:
          config: Which accounts and callbacks there are.
          now: The present.
          uploaded: Whether a photo comes with the request, to be put into the draft.

        Raises:
          ApiError: 422; the message names the field.
        """
        _check_account(self.account, config)
        if self.callback is not None and self.callback not in config.callbacks:
            raise invalid("callback", "no such callback is configured: name a [callbacks.*] table")
        self._check_content(uploaded)
        to, post = self._target()
        start = self._start(now)
        self._check_expiry(start, now)
        return JobDraft(
            kind=self.kind,
            account=self.account,
            to=to,
            post=post,
            text=self.text or "",
            photo=None if self.photo is None else PhotoUrl(self.photo),
            callback=self.callback,
            delay_ms=round((self.delay_seconds or 0) * 1000),
            # A time that is over means now, by the store's clock.
            run_at_ms=_ms(self.run_at) if self.run_at is not None and self.run_at > now else None,
            expires_at_ms=None if self.expires_at is None else _ms(self.expires_at),
            priority=self.priority,
            metadata=self.metadata,
            dry_run=self.dry_run,
        )

    def _check_content(self, uploaded: bool) -> None:
        if self.photo is not None or uploaded:
            self._check_photo(uploaded)
        elif self.text is None:
            raise invalid("text", "is missing")
        elif not self.text.strip() or len(self.text) > MAX_TEXT[self.kind]:
            raise invalid("text", f"must be 1 to {MAX_TEXT[self.kind]} characters, not all spaces")

    def _check_photo(self, uploaded: bool) -> None:
        if self.kind != "dm":
            raise invalid("photo", f"is not for a {self.kind}: only a DM can carry one")
        if uploaded and self.photo is not None:
            raise invalid("photo", "give a file or a URL, not both")
        if self.text is not None:
            # Instagram sends them as two messages, and a job is one write.
            raise invalid("text", "must be left out with a photo: send it as a job of its own")

    def _target(self) -> tuple[str | None, str | None]:
        wanted, other = ("to", "post") if self.kind == "dm" else ("post", "to")
        given = self.to if self.kind == "dm" else self.post
        if given is None:
            raise invalid(wanted, f"is missing: a {self.kind} needs it")
        if getattr(self, other) is not None:
            raise invalid(other, f"is not for a {self.kind}: give {wanted!r} instead")
        try:
            if self.kind == "dm":
                return normalise_recipient(given), None
            return None, normalise_post(given)
        except InvalidIdentifier as error:
            raise invalid(wanted, str(error)) from None

    def _start(self, now: datetime) -> datetime:
        if self.run_at is None:
            return now + timedelta(seconds=self.delay_seconds or 0)
        if self.delay_seconds is not None:
            raise invalid("run_at", "give run_at or delay_seconds, not both")
        if self.run_at - now > timedelta(milliseconds=MAX_DELAY_MS):
            raise invalid("run_at", "must be at most 365 days ahead")
        return max(self.run_at, now)

    def _check_expiry(self, start: datetime, now: datetime) -> None:
        if self.expires_at is None:
            return
        if self.expires_at <= start:
            raise invalid("expires_at", "must be later than now and than the job's start")
        if self.expires_at - now > MAX_EXPIRY:
            raise invalid("expires_at", "must be within ten years: leave it out for never")


class NoteRequest(BaseModel):
    """An optional note on why, for people."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[StrictStr, Field(max_length=200)] = ""


class PauseRequest(NoteRequest):
    """What to stop or let go on, and why; without a kind, everything of the account."""

    kind: Pausable | None = None


def _check_account(name: str, config: Config) -> None:
    account = config.accounts.get(name)
    if account is None:
        raise invalid("account", "no such account is configured: GET /accounts lists them")
    if not account.may_write:
        raise invalid("account", "has the role 'read': name one that may write")


def invalid(field: str, message: str) -> ApiError:
    """A 422 about one field.

    Parameters:
      field: Its name.
      message: What to do, in words that may follow the name.
    """
    return ApiError(
        422,
        "invalid_request",
        f"{field}: {message}",
        fields=[{"field": field, "message": message}],
    )


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def utc_now() -> datetime:
    """The present, by this process' clock."""
    return datetime.now(UTC)
