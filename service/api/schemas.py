"""Request bodies: every field is validated, and every error names its field and the remedy."""

from __future__ import annotations

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
from service.config.models import Account
from service.http.errors import ApiError
from service.instagram.ids import InvalidIdentifier, normalise_post
from service.instagram.limits import MAX_TEXT_CHARACTERS, excess
from service.instagram.typed_recipients import typed_recipient
from service.jobs.model import DEFAULT_PRIORITY, MAX_DELAY_MS, JobDraft, Pausable, SettledAs, Write
from service.json_values.plain_json import is_deeper, json_size
from service.network.urls import MAX_URL_CHARACTERS
from service.photos.photo import PhotoUrl

MAX_METADATA_BYTES: Final = 8 * 1024
#: Far below the limit of JSON encoders (pydantic's is 255); metadata is part of every response.
MAX_METADATA_DEPTH: Final = 32
#: Characters of what a person writes beside an act.
MAX_NOTE: Final = 200
MAX_EXPIRY: Final = timedelta(days=3650)

_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def check_surrogates(text: str) -> str:
    """Return the text; raise ValueError if it is none that can be stored as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        broken = True
    else:
        broken = False
    if broken:  # outside the handler: that error carries the text
        raise ValueError("must not contain a lone surrogate")
    return text


def _check_rfc3339(value: object) -> object:
    # pydantic would also take numbers, and guess between seconds and milliseconds.
    if value is not None and not (isinstance(value, str) and _RFC3339.fullmatch(value)):
        raise ValueError("must be an RFC 3339 time with its zone, such as 2026-01-31T09:00:00Z")
    return value


def _check_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    size = json_size(metadata)
    if size is None:
        raise ValueError("must be plain JSON: no NaN, no lone surrogates, not nested deeply")
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"must be at most {MAX_METADATA_BYTES} bytes as JSON")
    if is_deeper(metadata, MAX_METADATA_DEPTH):
        raise ValueError(f"must be nested at most {MAX_METADATA_DEPTH} levels deep")
    return metadata


def _check_note(note: str | None) -> str | None:
    return None if note is None else check_surrogates(note) or None


Name = Annotated[StrictStr, Field(min_length=1, max_length=64), AfterValidator(check_surrogates)]
TargetText = Annotated[StrictStr, Field(max_length=300), AfterValidator(check_surrogates)]
Text = Annotated[
    StrictStr,
    # Longer ones are refused by `_check_content`, which knows the limit of the kind.
    Field(min_length=1, json_schema_extra={"maxLength": max(MAX_TEXT_CHARACTERS.values())}),
    AfterValidator(check_surrogates),
]
PhotoLink = Annotated[
    StrictStr, Field(min_length=1, max_length=MAX_URL_CHARACTERS), AfterValidator(check_surrogates)
]
Timestamp = Annotated[
    AwareDatetime,
    BeforeValidator(_check_rfc3339),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Metadata = Annotated[dict[str, Any], AfterValidator(_check_metadata)]


class JobRequest(BaseModel):
    """A DM or a comment to create."""

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
    to: TargetText | None = None
    post: TargetText | None = None
    text: Text | None = None
    photo: Annotated[
        PhotoLink | None,
        Field(description="For a DM, instead of a text: an https URL that a worker downloads"),
    ] = None
    run_at: Timestamp | None = None
    delay_seconds: Annotated[float, Field(strict=True, ge=0, le=MAX_DELAY_MS / 1000)] | None = None
    expires_at: Timestamp | None = None
    priority: Annotated[int, Field(ge=0, le=9, strict=True)] = DEFAULT_PRIORITY
    callback: Name | None = None
    metadata: Metadata | None = None
    dry_run: Annotated[bool, Field(strict=True)] = False

    def draft(self, config: Config, now: datetime, *, uploaded: bool = False) -> JobDraft:
        """Build the job draft.

        Parameters:
          config: The configured accounts and callbacks.
          now: The current time.
          uploaded: Whether the request has a photo, which the caller adds to the draft.

        Raises:
          ApiError: 422; the message names the field.
        """
        if not find_account(self.account, config).may_write:
            raise invalid("account", "has the role 'read': use an account that may write")
        check_callback(self.callback, config)
        self._check_content(uploaded)
        to, post = self._normalised_target(config.recipients.folded)
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
            # A time in the past means now, by the clock of Redis.
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
        elif not self.text.strip():
            raise invalid("text", "must not be only spaces")
        elif too_long := excess(self.kind, self.text):
            raise invalid("text", too_long)

    def _check_photo(self, uploaded: bool) -> None:
        if self.kind != "dm":
            raise invalid("photo", f"is not allowed for a {self.kind}: only a DM can have a photo")
        if uploaded and self.photo is not None:
            raise invalid("photo", "send a file or a URL, not both")
        if self.text is not None:
            # Instagram would send two messages, and a job is one write.
            raise invalid("text", "is not allowed with a photo: send the text as a separate job")

    def _normalised_target(self, no_answers: frozenset[str]) -> tuple[str | None, str | None]:
        wanted, other = ("to", "post") if self.kind == "dm" else ("post", "to")
        value = self.to if self.kind == "dm" else self.post
        if value is None:
            raise invalid(wanted, f"is missing: a {self.kind} needs it")
        if getattr(self, other) is not None:
            raise invalid(other, f"is not allowed for a {self.kind}: use {wanted!r} instead")
        try:
            if self.kind == "dm":
                return typed_recipient(value, no_answers=no_answers), None
            return None, normalise_post(value)
        except InvalidIdentifier as error:
            raise invalid(wanted, str(error)) from None

    def _start(self, now: datetime) -> datetime:
        if self.run_at is None:
            return now + timedelta(seconds=self.delay_seconds or 0)
        if self.delay_seconds is not None:
            raise invalid("run_at", "use run_at or delay_seconds, not both")
        if self.run_at - now > timedelta(milliseconds=MAX_DELAY_MS):
            raise invalid("run_at", "must be at most 365 days ahead")
        return max(self.run_at, now)

    def _check_expiry(self, start: datetime, now: datetime) -> None:
        if self.expires_at is None:
            return
        if self.expires_at <= start:
            raise invalid("expires_at", "must be in the future and after the job's start")
        if self.expires_at - now > MAX_EXPIRY:
            raise invalid(
                "expires_at", "must be within ten years: leave it out if the job never expires"
            )


class NoteRequest(BaseModel):
    """An optional reason, for people."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[StrictStr, Field(max_length=MAX_NOTE)] = ""


class SettleRequest(BaseModel):
    """What a person found at Instagram of a write whose outcome is unknown."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"as": "sent", "note": "seen in the app"}]}
    )

    settled_as: Annotated[SettledAs, Field(alias="as")]
    note: Annotated[
        Annotated[StrictStr, Field(max_length=MAX_NOTE)] | None, AfterValidator(_check_note)
    ] = None


class PauseRequest(NoteRequest):
    """The kind of action to pause or resume, all kinds if omitted, and a reason."""

    kind: Pausable | None = None


def find_account(name: str, config: Config) -> Account:
    """Return a configured account; raise a 422 ApiError if there is none of that name."""
    account = config.accounts.get(name)
    if account is None:
        raise invalid("account", "no such account is configured: GET /accounts lists them")
    return account


def check_callback(name: str | None, config: Config) -> None:
    """Raise a 422 ApiError if no callback of that name is configured."""
    if name is not None and name not in config.callbacks:
        message = "no such callback is configured: use the name of a [callbacks.*] table"
        raise invalid("callback", message)


def invalid(field: str, message: str) -> ApiError:
    """Build a 422 error about one field.

    Parameters:
      field: The field's name.
      message: What is wrong; follows the name and a colon.
    """
    return ApiError(
        422,
        "invalid_request",
        f"{field}: {message}",
        fields=[{"field": field, "message": message}],
    )


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def utc_now() -> datetime:
    return datetime.now(UTC)
