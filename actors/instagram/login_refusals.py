"""What a refused login means: one policy per reason, found by the words of Instagram's reply.

A refused password is never sent again by itself: every refusal holds the account, or lets it rest
where Instagram only asks to wait. Only a login that got no verdict (no connection, no reply, a 5xx)
is tried again. Samples of every row, with their sources: `tests/instagram/login_replies.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from redis.exceptions import RedisError

from actors.instagram import login_policies as policies
from actors.instagram import login_words
from actors.instagram.error_policies import ErrorPolicy, Outcome
from actors.instagram.errors import classify
from actors.instagram.reply import THROTTLED, Reply, reply_of
from actors.instagram.reply_policies import retry_after_seconds
from actors.instagram.session_doubts import is_bare_not_found
from service.accounts.session_store import SessionStoreError

_TIMED_OUT: Final = 408

#: Codes of errors that are no verdict on the login: it is tried again, with growing waits.
NO_VERDICT: Final = frozenset(
    {
        *("connection_failed", "timed_out", "server_error", "reply_incomplete"),
        *("interrupted", "call_overdue", "session_replaced", "login_preflight_failed"),
    }
)

#: The first row with a phrase in the reply decides, so a narrow reason stands before one that comes
#: with it: Instagram names a linked Facebook account in replies of type `bad_password`, and unknown
#: usernames in replies with `invalid_credentials`. `| word |` is a whole value or field.
_TABLE: Final[tuple[tuple[ErrorPolicy, tuple[str, ...]], ...]] = (
    (
        policies.ADDRESS_BLOCKED,
        (
            *("ip_block", "blocked your ip", "blocking your ip", "ip address is blocked"),
            *("ip is blocked", "ip address has been", "ip has been blocked", "open proxy"),
        ),
    ),
    (
        policies.SUSPENDED,
        (
            *("/suspended", "account_suspended", "suspended your account", "account is suspended"),
            *("account has been suspended", "account was suspended", "suspended the account"),
            "account is currently suspended",
        ),
    ),
    (
        policies.DISABLED,
        (
            *("inactive user", "inactive_user", "account_disabled", "account_deactivated"),
            *("account has been disabled", "account was disabled", "account is disabled"),
            *("disabled your account", "deactivated your account", "account has been deactivated"),
            *("account is deactivated", "account was deactivated", "account has been banned"),
            *("account has been deleted", "account was deleted", "/accounts/disabled"),
            *("account has been permanently", "account_deleted", "account is permanently"),
            *("scheduled for deletion", "account deletion"),
        ),
    ),
    (
        policies.GEOBLOCKED,
        ("geoblock", *(f"not available in your {place}" for place in ("country", "region"))),
    ),
    (
        policies.PASSWORD_UNUSABLE,
        (
            *("unusable_password", "password_reset_required", "we've reset your password"),
            *("we have reset your password", "we reset your password", "password has been reset"),
            *("must reset your password", "need to reset your password", "password was reset"),
            *("please reset your password", "have to reset your password", "must change your pass"),
            *(
                "need to change your password",
                "please change your password",
                "create a new password",
            ),
            *("choose a new password", "set a new password", "pick a new password"),
            *("account was compromised", "account has been compromised", "may be compromised"),
        ),
    ),
    (
        policies.CODE_REFUSED,
        (
            *("invalid_nonce", "sms_code_validation", "check the security code", "check the code"),
            *("code is no longer valid", "code is incorrect", "code is invalid", "code is wrong"),
            *("code has expired", "code is expired", "code isn't right", "code isn't correct"),
            *(f"{wrong} code" for wrong in ("incorrect", "invalid", "wrong")),
            *("incorrect security code", "invalid security code", "code is not correct"),
        ),
    ),
    (policies.CHALLENGE, ("| challenge_required |", "checkpoint_challenge_required")),
    (policies.CHECKPOINT, ("checkpoint_required", "checkpoint_logged_out", "checkpoint_url")),
    (
        policies.TWO_FACTOR,
        ("two_factor", "two-factor", "two factor", "two_step_verification_context", "backup code"),
    ),
    (policies.CONSENT, ("consent_required", "consent_data", "/consent")),
    (
        policies.TERMS,
        ("/terms/", "terms_required", "accept our terms", "agree to our terms", "new terms"),
    ),
    (
        policies.OUTDATED,
        (
            *("needs_upgrade", "unsupported_version", "version of instagram is out of date"),
            *("upgrade your app", "update your app", "update the app", "update instagram"),
        ),
    ),
    (policies.FEEDBACK, ("feedback_required",)),
    (
        policies.PLEASE_WAIT,
        (
            *("rate_limit", "please wait", "wait a few minutes", "wait a few hours", "rate limit"),
            *(
                f"too many {tries}"
                for tries in ("attempts", "requests", "logins", "times", "tries")
            ),
            *("too many login attempts", "too many log in attempts", "too many failed"),
        ),
    ),
    (policies.SENTRY_BLOCK, ("sentry_block", "there was a problem with your request")),
    (
        policies.BAD_PASSWORD,
        ("login information you entered", "incorrect login info", "username or password"),
    ),
    (
        policies.UNKNOWN_USERNAME,
        (
            *("invalid_user |", "user_not_found", "unknown_user", "belong to an account"),
            *("find an account", "find your account", "find that account", "find this account"),
            *("find any account", "username not found", "incorrect username", "user not found"),
            *("check your username", "no account found", "no user found", "no users found"),
            *(
                "find a user",
                "find account",
                "username you entered",
                "account doesn't exist",
                "no such user",
            ),
        ),
    ),
    (
        policies.BAD_PASSWORD,
        (
            *(f"password you entered {end}" for end in ("is incorrect", "is wrong", "isn't")),
            *("password entered is incorrect", "you've entered is incorrect"),
            *("password was incorrect", "password is incorrect", "password is wrong"),
            *("incorrect password", "wrong password", "invalid password", "check your password"),
            *("password isn't right", "password is not correct", "password you entered is invalid"),
        ),
    ),
    (
        policies.FACEBOOK_ONLY,
        (
            *("linked facebook account", "login_with_facebook", "with facebook", "use facebook"),
            *("through facebook", "via facebook", "your facebook account", "facebook login"),
            *("fb_no_contact_point_found", "uses facebook", "using facebook", "facebook account"),
        ),
    ),
    (policies.BAD_PASSWORD, ("bad_password", "invalid_credentials", "userinvalidcredentials")),
    (
        policies.LOGGED_OUT,
        ("| login_required |", "user_has_logged_out", "/accounts/login", "logout_reason"),
    ),
    (
        policies.CHALLENGE,
        (
            *("challenge_required", "/challenge", ".challenge.", "ap.two_step_verification"),
            *(
                "presentcheckpointsflow",
                "auth_platform",
                "captcha",
                "confirm it's you",
                "confirm that it's you",
            ),
            *("verify it's you", "verify your", "confirm your identity", "suspicious login"),
            *("unusual login", "unusual activity", "automated behavio", "help us confirm"),
            *("account has been locked", "account is locked", "temporarily locked"),
            *("account was locked", "account_locked"),
            *("security check", "security code", "verification code", "confirmation code"),
            *("login code", "enter the code", "approve this login", "another device"),
            *("it's really you", "your identity", "approve the login", "approve your login"),
        ),
    ),
    (policies.SPAM, ("| spam |",)),
)


def login_policy(error: Exception, username: str, *, logged_in: bool) -> ErrorPolicy | None:
    """Decide what an error during a login means.

    Parameters:
      error: What the login raised.
      username: The account's Instagram username.
      logged_in: Whether the login has brought a session nevertheless: the refusal came after it.

    Returns:
      The policy; None if the login got no verdict, and the error means what it means elsewhere.
    """
    if isinstance(error, (RedisError, SessionStoreError)):
        return None
    reply = reply_of(error)
    if logged_in:
        return _policy_after_login(reply, username)
    if reply is None:
        return _policy_without_reply(error)
    known = known_refusal(reply, username)
    return _waiting_as_asked(known or _policy_without_known_words(error, reply, username), reply)


def _waiting_as_asked(policy: ErrorPolicy | None, reply: Reply) -> ErrorPolicy | None:
    """Lengthen a rest to what `Retry-After` asks for."""
    asked = retry_after_seconds(reply)
    if policy is None or policy.cooldown_seconds is None or asked is None:
        return policy
    return replace(policy, cooldown_seconds=max(policy.cooldown_seconds, asked))


def _policy_after_login(reply: Reply | None, username: str) -> ErrorPolicy | None:
    """Judge the feeds that the app reads after a login, which are full of other people's words."""
    if reply is None or _is_success(reply) or reply.is_server_failure:
        return None
    if is_bare_not_found(reply):
        return policies.FEED_NOT_FOUND
    return known_refusal(reply, username)


def known_refusal(reply: Reply, username: str) -> ErrorPolicy | None:
    """Find the policy of a reply by its words; None if they are not known."""
    text = login_words.searchable(reply, username)
    rows = (policy for policy, phrases in _TABLE if any(phrase in text for phrase in phrases))
    policy = next(rows, None)
    return _naming(policy, username) if policy is policies.UNKNOWN_USERNAME else policy


def _naming(policy: ErrorPolicy, username: str) -> ErrorPolicy:
    # Instagram says the same to an address that it does not trust (instagrapi issues 899, 1190;
    # dilame/instagram-private-api issue 1627), hence the remedy's second half.
    remedy = (
        "Correct the username, deploy, then resume the account. If it is right, Instagram does not"
        " trust the address: use another proxy."
    )
    return replace(policy, message=policy.message.format(name=repr(username)), remedy=remedy)


def _policy_without_known_words(
    error: Exception, reply: Reply, username: str
) -> ErrorPolicy | None:
    if reply.status >= 500 or reply.status == _TIMED_OUT:
        return None
    if reply.status == THROTTLED:
        return policies.RATE_LIMITED
    if reply.status < 300 and _is_preflight(error):
        return None
    said = login_words.shown(reply, username)
    message = f"Instagram refused the login: {said}" if said else policies.REFUSED.message
    return replace(policies.REFUSED, message=message)


def _policy_without_reply(error: Exception) -> ErrorPolicy | None:
    """Hold after an error that nobody expects: the password may have been sent and refused."""
    decision = classify(error, writing=False)
    is_retried = decision.outcome is Outcome.RETRY and decision.code not in NO_VERDICT
    return policies.REFUSED if is_retried else None


def _is_success(reply: Reply) -> bool:
    return reply.status < 300 and (reply.document or {}).get("status") == "ok"


def _is_preflight(error: Exception) -> bool:
    """Whether the login ended before the password was sent."""
    return getattr(error, "logged_in", None) is False and not getattr(error, "result", None)
