"""One account's client and its session: load, log in when needed, save after use."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from redis.exceptions import RedisError

from actors.instagram.challenge_details import mark_login
from actors.instagram.client import InstagramClient, build_client, close_client
from actors.instagram.errors import ClassifiedError
from actors.instagram.login_refusals import login_policy
from actors.instagram.options import AccountOptions
from service.accounts.session_store import SessionStore, SessionStoreError, StoredSession
from service.logging.setup import get_logger

_log = get_logger(__name__)

#: Wraps every password login. Called with the account and whether this is its first login; raises
#: to forbid the login, yields the verification code a person supplied for it, or None.
LoginGuard = Callable[[AccountOptions, bool], AbstractAsyncContextManager[str | None]]


class LoginRefused(ClassifiedError):
    """Instagram refused a login: the password is not sent again before a person has acted."""


class SessionManager:
    """Keeps one account's client in sync with the session store; callers serialize calls."""

    def __init__(
        self, account: AccountOptions, store: SessionStore, login_guard: LoginGuard
    ) -> None:
        self._account = account
        self._store = store
        self._login_guard = login_guard
        self._client: InstagramClient | None = None
        self._stored = StoredSession({}, 0)

    async def open(self) -> InstagramClient:
        """Return a logged-in client; a stored session is trusted without a request.

        A session that another process saved in the meantime is loaded first.
        """
        client = self._client
        if client is None or await self._replaced_by_another_process():
            client = await self._load()
        if not client.logged_in:
            await self._login(client)
        return client

    async def renew(self) -> InstagramClient:
        """Return a client with another login than the one Instagram has just refused."""
        client = self._client
        if client is None or await self._replaced_by_another_process():
            return await self.open()
        await self._login(client, renewal=True)
        return client

    async def persist(self) -> bool:
        """Save what a call changed; a failure is logged and does not affect the call's outcome.

        Returns:
          False when changes remain unsaved.
        """
        if self._client is None:
            return True
        try:
            await self._save(self._client)
        except SessionStoreError as error:
            # The stored session wins; the next call loads it.
            _log.warning(
                "session not saved; using the stored one",
                account=self._account.name,
                reason=str(error),
            )
            await self.drop()
        except RedisError as error:
            _log.warning(
                "session not saved; saving again after the next call",
                account=self._account.name,
                error=type(error).__name__,
            )
            return False
        return True

    async def drop(self) -> None:
        """Close the client without saving."""
        client, self._client = self._client, None
        if client is not None:
            await close_client(client)

    async def _replaced_by_another_process(self) -> bool:
        return await self._store.version(self._account.name) != self._stored.version

    async def _load(self) -> InstagramClient:
        account = self._account
        stored = await self._store.load(account.name, account.username)
        if stored is None:
            await self._store.check_not_renamed(account.name, account.username)
        await self.drop()
        client = await build_client(account.client, stored.settings if stored else None)
        self._client, self._stored = client, stored or StoredSession({}, 0)
        # A new device, or ids that an older session lacks, must be saved before the first request.
        await self._save(client)
        return client

    async def _login(self, client: InstagramClient, *, renewal: bool = False) -> None:
        first = client.last_login is None and not renewal
        async with self._login_guard(self._account, first) as code:
            client.usdid_generate()
            await self._save(client)
            client.challenge_code = code or ""
            try:
                await client.login(
                    self._account.username,
                    self._account.password,
                    # With a user's id but no session, the library would ask for the user first.
                    relogin=renewal or bool(client.user_id),
                    verification_code=self._second_factor(client, code),
                )
            except Exception as error:
                mark_login(error)
                self._raise_refused(error, client)
                raise
            finally:
                # The login may have succeeded although one of the requests after it failed.
                await self.persist()

    def _raise_refused(self, error: Exception, client: InstagramClient) -> None:
        """Raise what a refused login means; return if the login got no verdict."""
        account = self._account
        policy = login_policy(error, account.username, logged_in=client.logged_in)
        if policy is not None:
            # The message may name the account and quote Instagram, never the error itself.
            _log.warning(
                "login refused", account=account.name, code=policy.code, reason=policy.message
            )
            raise LoginRefused(policy) from error

    def _second_factor(self, client: InstagramClient, code: str | None) -> str:
        seed = self._account.totp_seed
        if not seed:
            return code or ""
        return str(client.totp_generate_code(seed.replace(" ", "").replace("-", "")))

    async def _save(self, client: InstagramClient) -> None:
        if client.settings_unchanged(self._stored.settings):
            return
        settings = client.exportable_settings
        version = await self._store.save(
            self._account.name, self._account.username, settings, version=self._stored.version
        )
        self._stored = StoredSession(settings, version)
