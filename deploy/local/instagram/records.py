"""The JSON records of the control interface."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TypedDict


class CallRecord(TypedDict):
    """One request; `ended` to `outcome` are null while it is in progress.

    `begun`, `ended` and `gone` are monotonic seconds of the fake Instagram's process; those with
    `_at` are Unix time. `gone` is when the client disconnected before its reply, if it did.
    """

    seq: int
    call: str
    account: str | None
    user_id: str | None
    method: str
    host: str
    path: str
    http_version: str
    connection: int | None
    fault: int | None
    begun: float
    begun_at: float
    gone: float | None
    ended: float | None
    ended_at: float | None
    status: int | None
    outcome: str | None


class DmRecord(TypedDict):
    """One stored direct message; `pending` until its request is accepted."""

    item_id: str
    thread_id: str
    kind: str
    sender: str
    sender_pk: str
    recipient_pks: list[str]
    recipients: list[str]
    text: str
    sent_text: str
    pending: bool
    client_context: str
    attachment_id: str | None
    stored_at: float


class UploadRecord(TypedDict):
    """One uploaded attachment; `content` is in base64."""

    media_id: str
    owner: str
    content: str


class CommentRecord(TypedDict):
    """One stored comment; `audience` is who sees it: everyone, or its author."""

    pk: str
    media_id: str
    code: str
    username: str
    user_pk: str
    text: str
    sent_text: str
    audience: str
    idempotence_token: str
    stored_at: float


class LoginRecord(TypedDict):
    """One reply to a password or a code.

    `via` is `caa`, `legacy`, `totp` or `profile_code`; `outcome` is `ok`, `bad_password`,
    `unknown_user`, `two_factor_required`, `challenge_required` or `wrong_code`.
    """

    account: str
    via: str
    outcome: str
    device: str
    at: float


class DeviceRecord(TypedDict):
    """One distinct device of an account."""

    account: str
    android_device_id: str
    phone_id: str
    uuid: str
    user_agent: str
    first_seen_at: float
    calls: int


def overlaps(calls: Iterable[CallRecord]) -> list[tuple[CallRecord, CallRecord]]:
    """Pairs of consecutive calls on one account that were in progress at the same time.

    A call ends when its reply is sent or its client disconnects; one in progress has no end.
    """
    by_account: dict[str, list[CallRecord]] = defaultdict(list)
    for call in calls:
        if call["account"] is not None:
            by_account[call["account"]].append(call)
    return [pair for own in by_account.values() for pair in _overlaps_of_one_account(own)]


def _overlaps_of_one_account(calls: list[CallRecord]) -> list[tuple[CallRecord, CallRecord]]:
    pairs: list[tuple[CallRecord, CallRecord]] = []
    latest: CallRecord | None = None
    for call in sorted(calls, key=lambda entry: entry["begun"]):
        if latest is not None and call["begun"] < _end(latest):
            pairs.append((latest, call))
        if latest is None or _end(call) > _end(latest):
            latest = call
    return pairs


def _end(call: CallRecord) -> float:
    known = [entry for entry in (call["ended"], call["gone"]) if entry is not None]
    return min(known, default=float("inf"))
