"""The tables of heliograph.toml: what a source, account, callback or rule may contain."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from service.config.errors import suggestion
from service.config.pacing import PaceKind, PaceOverride
from service.config.proxy_url import check_proxy
from service.config.secret_refs import SecretRef
from service.config.strict_model import StrictModel
from service.instagram.ids import normalise_post
from service.instagram.typed_recipients import typed_recipient
from service.network.urls import parse_endpoint_url
from service.signatures.sign import decode_secret
from service.signatures.verify import SCHEMES, check_secret
from service.templates.templates import Condition, Template, is_constant
from service.time_formats.durations import parse_duration_ms

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
_Text = Annotated[str, StringConstraints(min_length=1)]
_Flag = Annotated[bool, Field(strict=True)]
_Date = Annotated[datetime.date, Field(strict=True)]
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def _as_list(given: Any) -> Any:
    """Accept one text where a list of texts may be given."""
    return [given] if isinstance(given, str) else given


class Source(StrictModel):
    """A sender of webhooks to `/webhooks/{name}`.

    Parameters:
      scheme: How the sender signs; one of `service.signatures.verify.SCHEMES`.
      secrets: One, or several while rotating; with none, the source answers 503.
      livemode: Take only events with this livemode; None takes both.
      type: Path of the event's type in the body (`meta.event`), for `standard-webhooks`; None for
        the keys that senders usually have it under.
    """

    scheme: str
    secrets: tuple[SecretRef, ...] = ()
    livemode: _Flag | None = None
    type: str | None = None

    @property
    def type_path(self) -> tuple[str, ...]:
        """The keys that lead to the type; empty for the usual ones."""
        return () if self.type is None else tuple(self.type.split("."))

    @field_validator("scheme")
    @classmethod
    def _is_known(cls, scheme: str) -> str:
        if scheme not in SCHEMES:
            raise ValueError(f"there is no scheme {scheme!r}; {suggestion(scheme, SCHEMES)}")
        return scheme

    @field_validator("type")
    @classmethod
    def _is_path(cls, path: str | None, info: ValidationInfo) -> str | None:
        if path is not None and info.data.get("scheme", "standard-webhooks") != "standard-webhooks":
            raise ValueError("is only for the scheme 'standard-webhooks'; remove it")
        if path is not None and not all(path.split(".")):
            raise ValueError('must be keys of the body, joined by dots, such as "meta.event"')
        return path

    @model_validator(mode="after")
    def _literal_secrets_work(self) -> Self:
        for literal in _literals(self.secrets):
            check_secret(self.scheme, literal)
        return self


class Account(StrictModel):
    """An Instagram account that jobs run as.

    Parameters:
      username: As typed at login; a stored session belongs to it.
      password: Only the worker resolves it.
      totp_seed: Seed of its two-factor codes.
      proxy: If set, all traffic goes through it; none ever bypasses it.
      role: Whether it may write, read, or both.
      since: When automated use began: lower limits apply for 14 days; None for no ramp-up.
      quiet_hours: Start and end (`HH:MM`) of the hours in which nothing is sent; may span midnight.
      timezone: IANA name of the time zone of the quiet hours.
      pacing: Its own rate limits, by kind.
      callback: Name of the callback that is notified of holds and their end.
    """

    username: SecretRef
    password: SecretRef
    totp_seed: SecretRef | None = None
    proxy: SecretRef | None = None
    role: Literal["write", "read", "both"] = "both"
    since: _Date | None = None
    quiet_hours: tuple[str, str] | None = None
    timezone: str = "UTC"
    pacing: dict[PaceKind, PaceOverride] = Field(default_factory=dict)
    callback: str | None = None

    @property
    def may_write(self) -> bool:
        """Whether it may send DMs and comments."""
        return self.role in ("write", "both")

    @property
    def may_read(self) -> bool:
        """Whether it may serve lookups."""
        return self.role in ("read", "both")

    @field_validator("proxy")
    @classmethod
    def _literal_proxy_works(cls, proxy: SecretRef | None) -> SecretRef | None:
        if proxy is not None and proxy.literal is not None:
            check_proxy(proxy.literal)
        return proxy

    @field_validator("quiet_hours", mode="before")
    @classmethod
    def _from_local_times(cls, given: Any) -> Any:
        if not isinstance(given, list):
            return given
        return [f"{hour:%H:%M}" if isinstance(hour, datetime.time) else hour for hour in given]

    @field_validator("quiet_hours")
    @classmethod
    def _are_hours(cls, hours: tuple[str, str] | None) -> tuple[str, str] | None:
        if hours is None:
            return None
        if not all(_CLOCK.fullmatch(hour) for hour in hours):
            raise ValueError('must be two times of the day, such as ["22:00", "08:00"]')
        if hours[0] == hours[1]:
            raise ValueError("begins and ends at the same time; pause an account to silence it")
        return hours

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, LookupError, OSError) as error:
            raise ValueError("is not a time zone; write it like Europe/Paris") from error
        return name


class Lookups(StrictModel):
    """How long the result of a lookup stays fresh.

    Parameters:
      user_seconds: For profiles.
      post_seconds: For posts.
    """

    user_seconds: Annotated[int, Field(strict=True, ge=1, le=86_400)] = 300
    post_seconds: Annotated[int, Field(strict=True, ge=1, le=86_400)] = 60


class Callback(StrictModel):
    """An endpoint that is notified when jobs end.

    Parameters:
      url: An http or https URL.
      secrets: Signing secrets (`whsec_...`): one, or several while rotating.
    """

    url: SecretRef
    secrets: Annotated[tuple[SecretRef, ...], Field(min_length=1)]

    @field_validator("url")
    @classmethod
    def _literal_url_works(cls, url: SecretRef) -> SecretRef:
        if url.literal is not None:
            # The environment decides at boot whether plain HTTP is allowed.
            parse_endpoint_url(url.literal, allow_http=True)
        return url

    @field_validator("secrets")
    @classmethod
    def _literal_secrets_work(cls, secrets: tuple[SecretRef, ...]) -> tuple[SecretRef, ...]:
        for literal in _literals(secrets):
            decode_secret(literal)
        return secrets


class Rule(StrictModel):
    """Which events create which job.

    Parameters:
      name: Unique; part of the identity of its jobs.
      source: Name of the source.
      event: Event types, exact or globs (`*`, `?`); case-sensitive; the file may give just one.
      when: Expression that must be true.
      action: What to do.
      account: Name of the account that does it.
      to: Template of a DM's recipient.
      post: Template of the post to comment on.
      text: Template of the text.
      once_per: Templates of a business key, of which the first that two events both have counts;
        this rule creates at most one job per key. The file may give just one.
      delay: Template of the time from acceptance until the job may run.
      expires: Template of the time from acceptance until the job is no longer worth doing.
      callback: Name of the callback to notify.
      dry_run: Its jobs do everything except the write.
    """

    name: Name
    source: str
    event: Annotated[tuple[_Text, ...], BeforeValidator(_as_list), Field(min_length=1)]
    when: str | None = None
    action: Literal["dm", "comment"]
    account: str
    to: _Text | None = None
    post: _Text | None = None
    text: _Text
    once_per: Annotated[tuple[_Text, ...], BeforeValidator(_as_list), Field(min_length=1)] = ()
    delay: _Text | None = None
    expires: _Text | None = None
    callback: str | None = None
    dry_run: _Flag = False

    @field_validator("when")
    @classmethod
    def _is_expression(cls, when: str | None) -> str | None:
        if when is not None:
            Condition(when)
        return when

    @field_validator("to", "post", "text", "delay", "expires")
    @classmethod
    def _is_template(cls, template: str | None) -> str | None:
        if template is not None:
            Template(template)
        return template

    @field_validator("once_per")
    @classmethod
    def _are_templates(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        for template in templates:
            Template(template)
        return templates

    @field_validator("to")
    @classmethod
    def _constant_recipient(cls, to: str | None) -> str | None:
        return _constant(to, typed_recipient)

    @field_validator("post")
    @classmethod
    def _constant_post(cls, post: str | None) -> str | None:
        return _constant(post, normalise_post)

    @field_validator("delay", "expires")
    @classmethod
    def _constant_duration(cls, duration: str | None) -> str | None:
        return _constant(duration, parse_duration_ms)


def _literals(references: tuple[SecretRef, ...]) -> Iterator[str]:
    return (each.literal for each in references if each.literal is not None)


def _constant(written: str | None, check: Callable[[str], object]) -> str | None:
    if written is not None and is_constant(written):
        check(written)
    return written
