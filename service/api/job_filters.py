"""Which jobs a request is about: the same names in a query and in a JSON body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
)

from service.api.schemas import Timestamp, invalid
from service.api.suppressions import recipient_key
from service.jobs.job_filter import MAX_METADATA_KEY, MAX_METADATA_VALUE, JobFilter
from service.jobs.model import Kind, Status

_METADATA: Final = re.compile(r"metadata\[(.*)\]", re.DOTALL)
_STATUSES: Final = ", ".join(Status)
#: A plus sign in a query is a space, unless it is written as %2B.
_SPACE_BEFORE_ZONE: Final = re.compile(r" (?=[0-9]{2}:[0-9]{2}$)")


def _check_statuses(given: object) -> object:
    if isinstance(given, list) and not set(map(str, given)) <= set(Status):
        raise ValueError(
            f"must be one of {_STATUSES}; repeat it for more: status=failed&status=expired"
        )
    return given


def _with_plus(time: object) -> object:
    return _SPACE_BEFORE_ZONE.sub("+", time) if isinstance(time, str) else time


_Statuses = Annotated[list[Status], BeforeValidator(_check_statuses)]
_Name = Annotated[str, Field(min_length=1, max_length=100)]
_EventId = Annotated[str, Field(min_length=1, max_length=1_000)]
_Recipient = Annotated[str, Field(max_length=300), AfterValidator(recipient_key)]
_Plain = StrictStr | StrictBool | StrictInt | StrictFloat

_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "status": "Jobs with one of these statuses; several are given by repeating the parameter",
    "account": "Jobs of this account",
    "kind": "Jobs of this kind",
    "to": "Jobs for this recipient: a username, a link to a profile, or `pk:` and a user id; jobs"
    " that were written for another name of the same person are found, too",
    "rule": "Jobs that this rule created",
    "source": "Jobs that events of this source created",
    "event_id": "Jobs that the event with this id lists",
    "code": "Jobs that ended with this error code",
    "metadata": "Jobs with these entries of metadata, as in `metadata[order]=1042`",
    "created_since": "Jobs created at or after this time (RFC 3339)",
    "created_until": "Jobs created before this time (RFC 3339)",
}

#: `metadata[key]=value`, which FastAPI cannot declare.
METADATA_PARAMETER: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "metadata",
            "in": "query",
            "required": False,
            "style": "deepObject",
            "explode": True,
            "description": _DESCRIPTIONS["metadata"],
            "schema": {
                "type": "object",
                "additionalProperties": {"type": "string", "maxLength": MAX_METADATA_VALUE},
            },
        }
    ]
}


class JobFilterBody(BaseModel):
    """Which jobs: those that meet everything that is given."""

    model_config = ConfigDict(extra="forbid")

    status: _Statuses = Field(default_factory=list, description=_DESCRIPTIONS["status"])
    account: _Name | None = Field(None, description=_DESCRIPTIONS["account"])
    kind: Kind | None = Field(None, description=_DESCRIPTIONS["kind"])
    to: _Recipient | None = Field(None, description=_DESCRIPTIONS["to"])
    rule: _Name | None = Field(None, description=_DESCRIPTIONS["rule"])
    source: _Name | None = Field(None, description=_DESCRIPTIONS["source"])
    event_id: _EventId | None = Field(None, description=_DESCRIPTIONS["event_id"])
    code: _Name | None = Field(None, description=_DESCRIPTIONS["code"])
    metadata: dict[str, _Plain] = Field(default_factory=dict, description=_DESCRIPTIONS["metadata"])
    created_since: Timestamp | None = Field(None, description=_DESCRIPTIONS["created_since"])
    created_until: Timestamp | None = Field(None, description=_DESCRIPTIONS["created_until"])

    def job_filter(self) -> JobFilter:
        """The filter as the ledger has it.

        Raises:
          ApiError: 422; the message names the field.
        """
        entries = {key: _text_of(value) for key, value in self.metadata.items()}
        return build_filter(
            self.status,
            entries,
            self.created_since,
            self.created_until,
            **{
                name: getattr(self, name)
                for name in ("account", "kind", "to", "rule", "source", "event_id", "code")
            },
        )


def _described(name: str) -> Any:
    return Query(description=_DESCRIPTIONS[name])


async def _names_of_query(
    account: Annotated[_Name | None, _described("account")] = None,
    kind: Annotated[Kind | None, _described("kind")] = None,
    to: Annotated[_Recipient | None, _described("to")] = None,
    rule: Annotated[_Name | None, _described("rule")] = None,
    source: Annotated[_Name | None, _described("source")] = None,
    event_id: Annotated[_EventId | None, _described("event_id")] = None,
    code: Annotated[_Name | None, _described("code")] = None,
) -> dict[str, str | None]:
    return {
        "account": account,
        "kind": kind,
        "to": to,
        "rule": rule,
        "source": source,
        "event_id": event_id,
        "code": code,
    }


async def _filter_of_query(
    request: Request,
    names: Annotated[dict[str, str | None], Depends(_names_of_query)],
    status: Annotated[_Statuses | None, _described("status")] = None,
    created_since: Annotated[
        Timestamp | None, BeforeValidator(_with_plus), _described("created_since")
    ] = None,
    created_until: Annotated[
        Timestamp | None, BeforeValidator(_with_plus), _described("created_until")
    ] = None,
) -> JobFilter:
    entries = _metadata_of(request.query_params.multi_items())
    return build_filter(status or [], entries, created_since, created_until, **names)


def build_filter(
    statuses: list[Status],
    metadata: Mapping[str, str],
    since: datetime | None,
    until: datetime | None,
    **names: str | None,
) -> JobFilter:
    """A filter of checked parts.

    Raises:
      ApiError: 422, the parts do not go together; the message names the field.
    """
    if since is not None and until is not None and since >= until:
        raise invalid("created_until", "must be later than created_since")
    for key, text in metadata.items():
        _check_entry(key, text)
    return JobFilter(
        statuses=tuple(dict.fromkeys(statuses)),
        metadata=tuple(metadata.items()),
        created_since_ms=unix_ms(since),
        created_until_ms=unix_ms(until),
        bound_to=(),
        **names,
    )


def _metadata_of(query: list[tuple[str, str]]) -> dict[str, str]:
    entries: dict[str, str] = {}
    for name, text in query:
        match = _METADATA.fullmatch(name)
        if match is None:
            continue
        if match[1] in entries:
            raise invalid("metadata", "has the same key twice: send each key once")
        entries[match[1]] = text
    return entries


def _check_entry(key: str, text: str) -> None:
    if not 1 <= len(key) <= MAX_METADATA_KEY:
        raise invalid(
            "metadata",
            f"needs a key of 1 to {MAX_METADATA_KEY} characters, as in metadata[order]=1042:"
            " longer ones are not indexed",
        )
    if len(text) > MAX_METADATA_VALUE:
        raise invalid(
            "metadata",
            f"may be searched for values of at most {MAX_METADATA_VALUE} characters: longer ones"
            " are not indexed",
        )


def _text_of(value: _Plain) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def unix_ms(time: datetime | None) -> int | None:
    """Milliseconds, rounded up: times of jobs have no finer parts."""
    return None if time is None else -int(-time.timestamp() * 1000 // 1)


JobFilterQuery = Annotated[JobFilter, Depends(_filter_of_query)]
