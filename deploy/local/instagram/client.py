"""Starts a fake Instagram and controls it through its control port."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.local.child_process import ChildProcess, RunningChildProcess, request_json
from deploy.local.instagram.records import (
    CallRecord,
    CommentRecord,
    DeviceRecord,
    DmRecord,
    LoginRecord,
    UploadRecord,
    overlaps,
)
from deploy.local.instagram.situations_client import SituationControl
from deploy.local.proxy import Connect, Fault


class FakeInstagramControl(SituationControl):
    """The control port of a running fake Instagram.

    Parameters:
        control_url: from its ready line.
    """

    def __init__(self, control_url: str) -> None:
        self.control_url = control_url

    def log(
        self, call: str | None = None, account: str | None = None, since: int = 0
    ) -> list[CallRecord]:
        """The requests received, oldest first.

        Parameters:
            call: only calls with this name (`login`, `broadcast_text`, `comment`, ...).
            account: only calls of this account.
            since: only calls after this sequence number.
        """
        calls: list[CallRecord] = self._items(f"/log?since={since}")
        return [
            entry
            for entry in calls
            if call in (None, entry["call"]) and account in (None, entry["account"])
        ]

    def overlaps(self) -> list[tuple[CallRecord, CallRecord]]:
        """Pairs of calls on one account that were in progress at the same time."""
        return overlaps(self.log())

    def dms(self) -> list[DmRecord]:
        """The stored direct messages, oldest first."""
        dms: list[DmRecord] = self._items("/dms")
        return dms

    def uploads(self) -> list[UploadRecord]:
        """The uploaded attachments, oldest first."""
        uploads: list[UploadRecord] = self._items("/uploads")
        return uploads

    def comments(self) -> list[CommentRecord]:
        """The stored comments, oldest first."""
        comments: list[CommentRecord] = self._items("/comments")
        return comments

    def logins(self) -> list[LoginRecord]:
        """Every reply to a password or a code."""
        logins: list[LoginRecord] = self._items("/logins")
        return logins

    def devices(self) -> list[DeviceRecord]:
        """Every distinct device of every account."""
        devices: list[DeviceRecord] = self._items("/devices")
        return devices

    def connects(self) -> list[Connect]:
        """Every CONNECT request the proxy received."""
        connects: list[Connect] = request_json(self.control_url, "GET", "/proxy")["connects"]
        return connects

    def add_user(self, username: str, **profile: object) -> str:
        """Add or change a user; returns the pk.

        Parameters:
            profile: `pk` and the fields of `Profile`; those of a known user stay as they are.
        """
        return str(self._post("/users", {"username": username, **profile})["pk"])

    def add_account(
        self,
        username: str,
        password: str,
        totp_seed: str | None = None,
        profile_code: str | None = None,
    ) -> str:
        """Add or change an account; returns its pk.

        Parameters:
            totp_seed: base32; logins then need its current TOTP code.
            profile_code: one login then needs this code, as if sent by e-mail.
        """
        body = {
            "username": username,
            "password": password,
            "totp_seed": totp_seed,
            "profile_code": profile_code,
        }
        return str(self._post("/accounts", body)["pk"])

    def add_media(
        self,
        owner: str,
        pk: int,
        *,
        caption: str = "",
        comments_disabled: bool = False,
        comments: str = "open",
        shape: str = "usual",
    ) -> str:
        """Add or change a post; returns its shortcode. Parameters as `Post`."""
        body = {
            "owner": owner,
            "pk": pk,
            "caption": caption,
            "comments_disabled": comments_disabled,
            "comments": comments,
            "shape": shape,
        }
        return str(self._post("/media", body)["code"])

    def fault(
        self,
        match: str,
        effect: str | None = None,
        *,
        account: str | None = None,
        times: int | None = 1,
        skip: int = 0,
        **effects: object,
    ) -> int:
        """Add a fault: `fault("broadcast_text", "drop_after")`, `fault("comment", error="spam")`.

        Parameters:
            match: a call's name or a path, globs allowed.
            effect: a switch (`drop_before`, `drop_after`, `hang`, `empty_ok`, `truncate`,
                `not_json`), or None to pass `effects`.
            account: only calls of this account.
            times: how many calls it applies to; None for all.
            skip: how many matching calls to let through first.
            effects: `error=`, `status=`, `body=`, `headers=`, `status_after_effect=`,
                `delay_seconds=`, `delay_after_effect_seconds=`, and switches as `name=True`.

        Returns:
            The fault's id, which the log shows with the calls it applied to.
        """
        switch = {} if effect is None else {effect: True}
        body: dict[str, object] = {"match": match, "effect": {**switch, **effects}, "skip": skip}
        if account is not None:
            body["account"] = account
        if times is not None:
            body["times"] = times
        return int(self._post("/faults", body)["id"])

    def clear_faults(self) -> None:
        """Remove every fault, the proxy's included."""
        self._delete("/faults")

    def shift_clock(self, offset_seconds: float) -> None:
        """Set Instagram's clock ahead (or, negative, behind): `Date` and all times in replies."""
        self._post("/clock", {"offset_seconds": offset_seconds})

    def proxy_fault(self, fault: Fault | None, times: int | None = None) -> None:
        """Apply a fault to the proxy's next CONNECTs, as `ConnectProxy.set_fault`."""
        self._post("/proxy", {"fault": fault, "times": times})

    def proxy_credentials(self, credentials: str | None) -> None:
        """Make the proxy require `user:password` from now on, or None for no credentials."""
        self._post("/proxy", {"credentials": credentials})

    def cut_connections(self) -> int:
        """Cut every open tunnel; returns how many there were."""
        return int(self._post("/proxy", {"cut_open": True})["cut"])

    def reset(self) -> None:
        """Start over with freshly seeded state, an empty log and no faults."""
        self._post("/reset", {})

    def _items(self, path: str) -> Any:
        return request_json(self.control_url, "GET", path)["items"]

    def _post(self, path: str, body: Mapping[str, object]) -> Any:
        return request_json(self.control_url, "POST", path, body)

    def _delete(self, path: str) -> None:
        request_json(self.control_url, "DELETE", path)


class FakeInstagram(FakeInstagramControl, RunningChildProcess):
    """A fake Instagram in a child process, stopped at the end of the `with` block.

    Parameters:
        directory: where to write `ca.pem`; by default a temporary directory.
        open_world: every valid username exists, except those that start with `missing`.
        dedupe: a repeated `client_context` or idempotence token is stored once.
        proxy_credentials: `user:password` that the proxy requires; None for none.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        open_world: bool = False,
        dedupe: bool = False,
        proxy_credentials: str | None = None,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory() if directory is None else None
        home = Path(self._temporary.name) if self._temporary else directory
        arguments = ["--directory", str(home), "--end-with-parent"]
        arguments += ["--open-world"] if open_world else []
        arguments += ["--dedupe"] if dedupe else []
        arguments += ["--proxy-credentials", proxy_credentials] if proxy_credentials else []
        RunningChildProcess.__init__(self, ChildProcess("deploy.local.instagram", arguments))
        FakeInstagramControl.__init__(self, self.child.ready["control"])

    @property
    def proxy_url(self) -> str:
        """The client's `proxy`."""
        return self.child.ready["proxy"]

    @property
    def ca_path(self) -> Path:
        """The client's `tls_verify`: path of the CA certificate."""
        return Path(self.child.ready["ca"])

    def close(self) -> int:
        """Stop the process; returns its exit code."""
        code = super().close()
        if self._temporary is not None:
            self._temporary.cleanup()
        return code
