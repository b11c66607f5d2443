"""Brings about situations at a fake Instagram through its control port."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

from deploy.local.instagram.challenges import WayBack
from deploy.local.instagram.login_refusals import Channel
from deploy.local.instagram.refusal import RefusalShape
from deploy.local.instagram.relations import Relation
from deploy.local.instagram.stored_text import TextStyle


class SituationControl(ABC):
    """Situations of users, posts and accounts; each has its name in the module of its subject."""

    @abstractmethod
    def _post(self, path: str, body: Mapping[str, object]) -> Any:
        """Send a control request; returns the reply."""

    @abstractmethod
    def _delete(self, path: str) -> None:
        """Send a control request."""

    def expire_session(self, username: str, end: str = "login_required") -> int:
        """Expire an account's sessions; returns how many were valid.

        Parameters:
            end: the name of the refusal that their calls get: one of `SESSION_ENDS`, for example.
        """
        return int(self._post("/sessions/expire", {"username": username, "end": end})["expired"])

    def change_password(self, username: str, password: str) -> None:
        """Change an account's password, which logs every client out."""
        self._post("/accounts/password", {"username": username, "password": password})

    def challenge(self, account: str, kind: str, code: str | None = None) -> WayBack:
        """Stop an account with a challenge; returns what ends it.

        Parameters:
            kind: a key of `CHALLENGE_KINDS`.
            code: the code that is sent by e-mail or SMS.
        """
        body: dict[str, object] = {"account": account, "kind": kind, "code": code}
        return cast(WayBack, self._post("/challenges", body)["way_back"])

    def approve_challenge(self, account: str) -> WayBack | None:
        """Give the person's OK in the app; returns what is left to do."""
        left = self._post("/challenges/approve", {"account": account})["left_to_do"]
        return cast("WayBack | None", left)

    def end_challenge(self, account: str) -> None:
        """Drop an account's challenge, whatever its kind."""
        self._delete(f"/challenges?account={quote(account)}")

    def refuse_logins(
        self,
        username: str,
        refusal: str | None,
        *,
        channel: Channel = "legacy",
        times: int | None = None,
    ) -> None:
        """Refuse a username's logins; `refusal` None accepts them again.

        Parameters:
            refusal: its name, one of `LOGIN_REFUSALS` for example.
            channel: how it reaches the client.
            times: how many logins; None for all. After a wrong password the client begins two.
        """
        self._post(
            "/login-refusals",
            {"username": username, "refusal": refusal, "channel": channel, "times": times},
        )

    def relate(self, username: str, relation: Relation, account: str, holds: bool = True) -> None:
        """Let a user follow, block or restrict an account, or no longer."""
        self._post(
            "/relations",
            {"username": username, "relation": relation, "account": account, "holds": holds},
        )

    def filter_content(
        self,
        contains: str,
        refusal: str = "content_blocked",
        *,
        kind: str | None = None,
        account: str | None = None,
    ) -> None:
        """Refuse texts that contain this, in any case.

        Parameters:
            refusal: its name, one of `CONTENT_REFUSALS` for example.
            kind: only `dm` or only `comment`.
            account: only this account's.
        """
        self._post(
            "/content-filters",
            {"contains": contains, "refusal": refusal, "kind": kind, "account": account},
        )

    def accept_requests(self, username: str) -> int:
        """Accept all message requests to a user; returns how many there were."""
        return int(self._post("/requests/accept", {"username": username})["accepted"])

    def limit_account(self, account: str, refusal: str = "") -> None:
        """Let an account find nothing any more.

        Parameters:
            refusal: the name of the refusal that replaces each call's own "not found".
        """
        self._post("/shadow-limits", {"account": account, "refusal": refusal})

    def unlimit_account(self, account: str) -> None:
        """Let an account find everything again."""
        self._delete(f"/shadow-limits?account={quote(account)}")

    def store_text(self, style: TextStyle, account: str | None = None) -> None:
        """Set how texts are stored, for all accounts or one."""
        body: dict[str, object] = {"text_style": style}
        self._post("/behavior", body if account is None else {**body, "account": account})

    def shape_refusals(self, shape: RefusalShape) -> None:
        """Set the shape of refused DMs."""
        self._post("/behavior", {"refusal_shape": shape})

    def allow_one_session(self, only_one: bool = True) -> None:
        """Let each new login end the account's other sessions, or no longer."""
        self._post("/behavior", {"one_session": only_one})
