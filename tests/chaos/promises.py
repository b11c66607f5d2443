"""The promises that must hold at the end, checked at the fake Instagram and the receiver.

A finding is a sentence that names the jobs concerned, if any.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from actors.instagram.idempotency_tokens import client_context_for
from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.records import CommentRecord, DeviceRecord, DmRecord, LoginRecord
from deploy.local.received_callbacks import ReceivedCallback


@dataclass
class Expected:
    """What was requested since the start.

    Parameters:
      dms: By the name in a DM's text, its jobs.
      comments: By job, its comment's text; several jobs may share one.
      photos: Jobs that send one photo each.
      expired: How often the fake Instagram ended the sessions of each account.
    """

    dms: dict[str, list[str]] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    photos: list[str] = field(default_factory=list)
    expired: Counter[str] = field(default_factory=Counter)

    @property
    def jobs(self) -> set[str]:
        """All jobs."""
        dms = {job for jobs in self.dms.values() for job in jobs}
        return dms | set(self.comments) | set(self.photos)

    def write_off(self, jobs: set[str]) -> None:
        """Expect nothing more of these jobs, nor of comments with the same text."""
        texts = {self.comments[job] for job in jobs & set(self.comments)}
        self.dms = {name: made for name, made in self.dms.items() if not jobs & set(made)}
        self.comments = {job: text for job, text in self.comments.items() if text not in texts}
        self.photos = [job for job in self.photos if job not in jobs]


def complete_callbacks(received: list[ReceivedCallback]) -> list[ReceivedCallback]:
    """The callbacks whose body is complete: a sender may die while it sends one."""
    return [each for each in received if each["event"] is not None]


def subject_of(finding: str) -> str:
    """What a finding is about; the rest of it may change with time."""
    return finding.partition(": ")[0]


def broken_promises(
    fake_instagram: FakeInstagram,
    received: list[ReceivedCallback],
    expected: Expected,
    cut_logins: Mapping[str, int],
) -> list[str]:
    """What Instagram and the customer have seen and must not have.

    Parameters:
      fake_instagram: The fake Instagram.
      received: All callbacks.
      expected: What was requested.
      cut_logins: By account, how many of its logins were interrupted.
    """
    whole = complete_callbacks(received)
    return [
        *_dms(fake_instagram.dms(), expected),
        *_photos(fake_instagram.dms(), expected),
        *_comments(fake_instagram.comments(), whole, expected),
        *_callbacks(whole, expected),
        *_torn(received, whole),
        *(
            f"two calls at once of {one['account']}: {one} and {other}"
            for one, other in fake_instagram.overlaps()
        ),
        *_devices(fake_instagram.devices()),
        *_logins(fake_instagram.logins(), expected, cut_logins),
    ]


def _dms(stored: list[DmRecord], expected: Expected) -> Iterable[str]:
    counts = Counter(dm["text"] for dm in stored)
    for name, jobs in expected.dms.items():
        found = sum(count for text, count in counts.items() if f" {name}!" in text)
        if found != len(jobs):
            yield f"{name}: {found} DMs of {len(jobs)} jobs {jobs}"


def _photos(stored: list[DmRecord], expected: Expected) -> Iterable[str]:
    """Every job must have sent one photo, identified by the job's own token."""
    counts = Counter(dm["client_context"] for dm in stored if dm["kind"] == "photo")
    for job in expected.photos:
        if (found := counts[client_context_for(f"{job}:1")]) != 1:
            yield f"{job}: {found} photos"


def _comments(
    stored: list[CommentRecord], received: list[ReceivedCallback], expected: Expected
) -> Iterable[str]:
    """Every job must be credited with one comment, and every comment to one job."""
    credited: defaultdict[str, set[str]] = defaultdict(set)
    for each in received:
        data = each["event"]["data"]
        if text := expected.comments.get(data["job_id"]):
            credited[text].add((data["result"] or {}).get("comment_id", data["status"]))
    for text, jobs in Counter(expected.comments.values()).items():
        there = {each["pk"] for each in stored if each["text"] == text}
        if len(there) != jobs or there != credited[text]:
            names = [job for job, wanted in expected.comments.items() if wanted == text]
            yield f"{text}: {sorted(there)} were reported as {sorted(credited[text])} to {names}"


def _callbacks(received: list[ReceivedCallback], expected: Expected) -> Iterable[str]:
    seen: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for each in received:
        job = each["event"]["data"]["job_id"]
        seen[job].add((each["headers"]["webhook-id"], each["event"]["type"]))
        if not each["verified"]:
            yield f"unverified callback of {job}: {each['reason']}"
    for job in sorted(expected.jobs):
        if [kind for _, kind in seen[job]] != ["job.succeeded"]:
            yield f"{job}: callbacks {sorted(seen[job])}"


def _torn(received: list[ReceivedCallback], whole: list[ReceivedCallback]) -> Iterable[str]:
    """A body that is not JSON must be the start of one that was sent again under the same id."""
    bodies = {each["headers"].get("webhook-id"): each["body"] for each in whole}
    for each in received:
        name = each["headers"].get("webhook-id")
        if each["event"] is None and not bodies.get(name, "").startswith(each["body"] or "{"):
            yield f"a callback {name} has the body {each['body']!r}"


def _devices(seen: list[DeviceRecord]) -> Iterable[str]:
    counts = Counter(each["account"] for each in seen)
    return (f"{account}: {count} devices" for account, count in counts.items() if count != 1)


def _logins(logins: list[LoginRecord], expected: Expected, cut: Mapping[str, int]) -> Iterable[str]:
    counts = Counter(each["account"] for each in logins if each["outcome"] == "ok")
    for account, count in counts.items():
        most = 1 + expected.expired[account] + cut.get(account, 0)
        if count > most:
            yield (
                f"{account}: {count} logins; its sessions were ended {expected.expired[account]}"
                f" times and {cut.get(account, 0)} of its logins were interrupted"
            )
