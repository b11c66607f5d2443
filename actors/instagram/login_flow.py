"""aiograpi's login adapted: one password per try, no prompt, and every refusal with its reply.

A login is eight requests and more, over three ways: the private API, GraphQL, and the public pages
for the password's key (aiograpi 2.1.2, mixins/auth.py, bloks.py, attestation.py, password.py). Only
the private API's errors carry a reply by themselves.
"""

from __future__ import annotations

from typing import Any, Final

from aiograpi import Client
from aiograpi.exceptions import ChallengeRequired, ClientError

from actors.instagram.reply import attach_reply, reply_of
from actors.instagram.transport import sending_password

_KEY_URL: Final = "https://i.instagram.com/api/v1/qe/sync/"


class LoginFlow(Client):  # type: ignore[misc]
    """The part of a client that logs in."""

    #: The verification code that a person supplied for the next login.
    challenge_code = ""

    # Before the password

    async def usdid_register(self, *args: Any, **kwargs: Any) -> bool:
        """Register the device's key.

        Raises:
          aiograpi.exceptions.ClientError: Instagram did not register it.
        """
        if not await super().usdid_register(*args, **kwargs):
            raise self._preflight_error("the device's key was not registered")
        return True

    async def private_graphql_www_request(self, *args: Any, **kwargs: Any) -> Any:
        """Send a GraphQL request; an error carries the reply that caused it."""
        self.last_response = None
        try:
            return await super().private_graphql_www_request(*args, **kwargs)
        except Exception as error:
            attach_reply(error, self.last_response)
            raise

    async def bloks_caa_login_process_client_data(self, *args: Any, **kwargs: Any) -> Any:
        """Open the login screen.

        Raises:
          aiograpi.exceptions.ClientError: Instagram did not open one.
        """
        result = await super().bloks_caa_login_process_client_data(*args, **kwargs)
        if not self.caa_aac:
            raise self._preflight_error("no account access context")
        return result

    async def password_publickeys(self) -> tuple[int, str]:
        """Get the key that passwords are encrypted with, and its id.

        The reply's headers have both, whatever its status (the library reads them below 500).

        Raises:
          aiograpi.exceptions.ClientError: They do not.
        """
        response = await self.public.get(_KEY_URL)
        key_id = response.headers.get("ig-set-password-encryption-key-id") or ""
        key = response.headers.get("ig-set-password-encryption-pub-key") or ""
        if response.status_code >= 500 or not (key and key_id.isascii() and key_id.isdigit()):
            self.last_response = response
            raise self._preflight_error("no key for the password")
        return int(key_id), key

    def _preflight_error(self, reason: str) -> ClientError:
        error = ClientError(reason, logged_in=False, result={})
        attach_reply(error, self.last_response)
        return error

    # The password

    async def login(self, *args: Any, **kwargs: Any) -> bool:
        """Log in; a login that brings no session is an error with Instagram's last reply."""
        try:
            return bool(await super().login(*args, **kwargs))
        except ClientError as error:
            # Subclasses name the reason themselves, or have their reply.
            if type(error) is ClientError and reply_of(error) is None:
                attach_reply(error, self.last_response)
            raise

    async def bloks_caa_login_send_request(self, *args: Any, **kwargs: Any) -> Any:
        """Send the password, on a fresh connection like a write."""
        mark = sending_password.set(True)
        try:
            return await super().bloks_caa_login_send_request(*args, **kwargs)
        finally:
            sending_password.reset(mark)

    async def _try_caa_login(self, *_args: Any, **_kwargs: Any) -> bool:
        # The old flow falls back to the current one, which would send a wrong password a third
        # time.
        return False

    # What Instagram asks for, without a prompt on the terminal

    async def challenge_code_handler(self, _username: str, _choice: Any = None, **_: Any) -> str:
        """Return the code a person supplied; without one, login raises `ChallengeRequired`."""
        return self.challenge_code

    async def change_password_handler(self, _username: str) -> str:
        """End the login: only a person can choose a new password."""
        raise ChallengeRequired("Instagram requires a new password.")

    async def bloks_caa_resolve_two_step_verification(
        self, send_result: Any, verification_code: str = "", domain: str | None = None
    ) -> Any:
        """Answer the e-mail challenge of a login, only with a code a person supplied."""
        # The library would use `verification_code` here, which may be a TOTP code.
        del verification_code
        return await super().bloks_caa_resolve_two_step_verification(
            send_result, verification_code=self.challenge_code, domain=domain
        )
