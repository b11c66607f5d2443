"""Callers: who sends a request, what their API key may do, and which accounts it is bound to."""

from __future__ import annotations

from typing import Final

from service.credentials.api_keys import ApiKey, KeyScope
from service.http.errors import ApiError
from service.jobs.audit_log import Requester

#: What the error of a key without a scope says that it may not do.
_ACTS: Final = {
    "read": "read this",
    "jobs": "create or change jobs",
    "accounts": "change accounts or suppressions",
    "admin": "do what is about everybody",
}


class Caller(Requester):
    """The sender of a request; as a `Requester`, who is named in the audit log and timelines.

    Parameters:
      key: The API key of the request.
      address: The client's; empty for none.
    """

    key: ApiKey

    def __new__(cls, key: ApiKey, address: str = "") -> Caller:
        """Name the caller `api:` and the key's name."""
        caller = super().__new__(cls, f"api:{key.name}", address)
        caller.key = key
        return caller

    @property
    def key_name(self) -> str:
        """The name of the key."""
        return self.key.name

    def require(self, scope: KeyScope) -> None:
        """Refuse what the key may not do.

        Raises:
          ApiError: 403, the key does not have the scope; the message names it.
        """
        if not self.key.may(scope):
            message = (
                f"The key `{self.key_name}` may not {_ACTS[scope]}: it needs the scope `{scope}`."
            )
            raise ApiError(403, "forbidden", message, scope=scope)
