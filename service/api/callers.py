"""Callers: who sends a request, what their API key may do, and which accounts it is bound to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from service.credentials.api_keys import ApiKey, KeyScope
from service.http.errors import ApiError
from service.jobs.audit_log import Requester

#: What the error of a key without a scope says that it may not do.
_ACTS: Final = {
    "read": "read this",
    "jobs": "create or change jobs, or see people",
    "accounts": "change accounts or suppressions",
    "admin": "act on all accounts at once, or on a person's data",
}


class Caller(Requester):
    """The sender of a request; as a `Requester`, who is named in the audit log and timelines.

    Parameters:
      key: The API key of the request.
      address: The client's; empty for none.
      sees_people: Whether the answer shows recipients and texts, and is not masked.
    """

    key: ApiKey
    sees_people: bool

    def __new__(cls, key: ApiKey, address: str = "", *, sees_people: bool = True) -> Caller:
        """Name the caller `api:` and the key's name."""
        caller = super().__new__(cls, f"api:{key.name}", address)
        caller.key, caller.sees_people = key, sees_people
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

    def require_people(self) -> None:
        """Refuse what consists of people, and could only be masked as a whole.

        Raises:
          ApiError: 403, the key may not see people; the message names the scope.
        """
        if not self.sees_people:
            self.require("jobs")

    def require_accounts(self, accounts: Iterable[str]) -> None:
        """Refuse what would be done through accounts that the key is not bound to.

        Raises:
          ApiError: 403, there is such an account; the message names it.
        """
        for account in accounts:
            if not self.key.sees(account):
                raise self.not_bound_to(f"the account `{account}`")

    def not_bound_to(self, what: str) -> ApiError:
        """Build the 403 error for what belongs to other accounts, or to all of them.

        Parameters:
          what: What the request is about.
        """
        own = ", ".join(f"`{account}`" for account in sorted(self.key.accounts or ()))
        message = (
            f"The key `{self.key_name}` is bound to accounts ({own}), and this is about {what}: use"
            " a key that is not bound, or leave the others out."
        )
        return ApiError(403, "forbidden", message)
