"""The policies of refused logins: what is held or rests, and what a person can do about it.

`login_refusals` finds the policy by the words of Instagram's reply.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from actors.instagram.error_policies import ErrorPolicy, Outcome

_HOUR: Final = 3600

_hold = partial(ErrorPolicy, Outcome.HOLD)
_rest = partial(ErrorPolicy, Outcome.COOL_DOWN)

REFUSED: Final = _hold(
    "login_refused",
    "Instagram refused the login.",
    remedy="Log in with the app from the same network, then resume the account.",
)
UNKNOWN_USERNAME: Final = _hold("unknown_username", "Instagram does not know the username {name}.")
ADDRESS_BLOCKED: Final = ErrorPolicy(
    Outcome.FIX_PROXY,
    "proxy_address_blocked",
    "Instagram blocks logins from the address the account connects from.",
    remedy="Use another proxy, then resume the account.",
)
DISABLED: Final = _hold(
    "account_disabled",
    "Instagram has disabled the account.",
    remedy="Appeal in the app; resume the account when it works there again.",
)
SUSPENDED: Final = _hold(
    "account_suspended",
    "Instagram has suspended the account.",
    remedy="Appeal in the app; resume the account when it works there again.",
)
BAD_PASSWORD: Final = _hold(
    "bad_password",
    "Instagram did not accept the password.",
    remedy="Correct it, or the proxy if the password is right, deploy, then resume the account.",
)
PASSWORD_UNUSABLE: Final = _hold(
    "password_reset_required",
    "Instagram has reset the password, or wants a new one.",
    remedy="Choose a new password in the app, set and deploy it, then resume the account.",
)
FACEBOOK_ONLY: Final = _hold(
    "facebook_login_required",
    "Instagram wants the account to log in through Facebook.",
    remedy="Give the account a password of its own in the app, set and deploy it, or import a"
    " session; then resume the account.",
)
CODE_REFUSED: Final = _hold(
    "two_factor_required",
    "Instagram did not accept the verification code.",
    remedy="Submit a new code, or correct the TOTP seed and resume the account.",
)
TWO_FACTOR: Final = _hold(
    "two_factor_required",
    "Instagram requires a second factor.",
    remedy="Submit the code, or set the TOTP seed and resume the account.",
)
CHALLENGE: Final = _hold(
    "challenge_required",
    "Instagram asks to confirm that it is really you.",
    remedy="Submit the code it has sent, or confirm in the app and resume the account.",
)
CHECKPOINT: Final = _hold(
    "checkpoint_required",
    "Instagram stopped the account at a checkpoint.",
    remedy="Pass it in the app, then resume the account.",
)
CONSENT: Final = _hold(
    "consent_required",
    "Instagram asks for consent.",
    remedy="Give it in the app, then resume the account.",
)
TERMS: Final = _hold(
    "terms_required",
    "Instagram requires its terms to be accepted.",
    remedy="Accept them in the app, then resume the account.",
)
GEOBLOCKED: Final = _hold(
    "geoblock_required",
    "Instagram does not serve this account from its current location.",
    remedy="Use a proxy in the account's home region, then resume the account.",
)
OUTDATED: Final = _hold(
    "client_outdated",
    "Instagram no longer accepts this version of the client.",
    remedy="Upgrade, then resume the account.",
)
SENTRY_BLOCK: Final = _hold(
    "sentry_block",
    "Instagram blocks logins of this account, or from this address, for now.",
    remedy="Use the app for a day, or another proxy, then resume the account.",
)
SPAM: Final = _hold(
    "login_blocked",
    "Instagram takes the login for spam.",
    remedy="Use the app for a day, then resume the account.",
)
LOGGED_OUT: Final = _hold(
    "login_required",
    "Instagram ended the session while it began.",
    remedy="Log in with the app, then resume the account.",
)
FEEDBACK: Final = _rest(
    "feedback_required",
    "Instagram blocks logins of this account for now.",
    cooldown_seconds=24 * _HOUR,
    escalation="widen",
)
PLEASE_WAIT: Final = _rest(
    "please_wait", "Instagram asks to wait.", cooldown_seconds=_HOUR, escalation="double"
)
RATE_LIMITED: Final = _rest("rate_limited", "Too many logins.", cooldown_seconds=_HOUR)

#: The login has brought a session, and a feed that the app reads next is not there.
FEED_NOT_FOUND: Final = ErrorPolicy(
    Outcome.RETRY,
    "not_found_unclear",
    "Instagram answered 404 to a request after the login, without saying what was not found.",
)
