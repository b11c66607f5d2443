"""Accounts as they are answered."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.accounts.controls import AccountStatus
from service.api.models.answer import Answer, Page, Time, example
from service.jobs.model import Pausable


class HoldDetails(Answer):
    """What Instagram said, as far as it is safe; null where it did not say."""

    at: str | None = Field(description="Where it was met: at the `login`, or another `call`")
    kind: str | None = Field(
        description="The kind of challenge; `native`: only Instagram's app answers it"
    )
    step: str | None = Field(description="The challenge's step")
    sent_to: str | None = Field(description="Where a code was sent, as Instagram masks it")
    url: str | None = Field(description="Its page, without the query")


class Hold(Answer):
    """What only a person ends."""

    reason: str = Field(description="`paused`, or the code of what Instagram answered")
    note: str | None = Field(description="What happened, or the reason given with a pause")
    since: Time | None
    remedy: str = Field(description="What to do, in a sentence or two that name the requests")
    accepts_code: bool = Field(description="Whether a verification code can end it")
    job_id: str | None = Field(description="The job that met it, if one did")
    instagram: HoldDetails | None = Field(description="What Instagram said, as far as it is safe")


class Cooldown(Answer):
    """A time in which an account does nothing of a kind."""

    kind: str = Field(description="`dm`, `comment`, `lookup`, or `*` for all")
    reason: str | None = Field(description="The code of what Instagram answered")
    until: Time | None


class BudgetWindow(Answer):
    """A limit of a budget."""

    used: int = Field(description="Actions in the last hour or day")
    limit: int


class Budget(Answer):
    """What an account may do of one kind."""

    per_hour: BudgetWindow
    per_day: BudgetWindow
    gap_seconds: Annotated[list[float], Field(min_length=2, max_length=2)] = Field(
        description="The shortest and the longest pause between two actions"
    )
    limited_by: str | None = Field(description="What keeps it from acting now")
    next_slot: Time | None = Field(description="When it may act next")


class AccountJobs(Answer):
    """What waits for an account."""

    waiting: int
    held: int
    turn: str | None = Field(description="The job that has the account's turn")


class Account(Answer):
    """An Instagram account that Heliograph acts as."""

    model_config = example(
        name="shop",
        role="both",
        status="active",
        hold=None,
        paused_everywhere=False,
        paused_kinds=[],
        cooldowns=[],
        quiet_until=None,
        budgets={
            "dm": {
                "per_hour": {"used": 3, "limit": 20},
                "per_day": {"used": 31, "limit": 100},
                "gap_seconds": [45, 150],
                "limited_by": "dm_gap",
                "next_slot": "2026-11-20T10:28:01.120Z",
            }
        },
        jobs={"waiting": 4, "held": 0, "turn": None},
    )

    name: str
    role: Literal["read", "write", "both"]
    status: AccountStatus
    hold: Hold | None
    paused_everywhere: bool = Field(description="Whether all accounts are paused")
    paused_kinds: list[Pausable]
    cooldowns: list[Cooldown]
    quiet_until: Time | None = Field(description="The end of the quiet hours, during them")
    budgets: dict[str, Budget] = Field(description="By limit: `dm`, `comment`, `lookup`, ...")
    jobs: AccountJobs


class AccountPage(Page):
    """All configured accounts."""

    items: list[Account]


class GlobalPause(Answer):
    """The pause of all accounts."""

    status: Literal["paused", "active"]
    since: Time | None
    note: str | None


class SessionReplacement(Answer):
    """A session that was stored in place of the one before."""

    account: str
    version: int = Field(description="Increases with every stored session")
    device_reset: bool = Field(description="Whether the device has changed")
    logged_in: Literal[True]
