"""What each class of exception means, where no reply of Instagram says more."""

from __future__ import annotations

import asyncio
import json
from typing import Final

import httpx
import pydantic
from aiograpi import exceptions as ig
from curl_cffi import CurlError

from actors.instagram import error_policies as policies
from actors.instagram.error_policies import ErrorPolicy
from actors.instagram.options import UnknownAccount
from actors.instagram.pks import MissingPk
from actors.instagram.request_deadline import CallOverdueError
from actors.instagram.write_verification import SearchIncomplete, SimilarWriteFound
from service.accounts.session_store import DeviceChanged, SessionConflict, SessionUnreadable
from service.instagram.ids import InvalidIdentifier

#: Looked up along the exception's MRO, most specific class first.
POLICIES: Final[dict[type[BaseException], ErrorPolicy]] = {
    # Retry
    ig.ConnectProxyError: policies.CONNECTION_FAILED,
    ig.ClientConnectionError: policies.CONNECTION_FAILED,
    httpx.HTTPError: policies.CONNECTION_FAILED,
    CurlError: policies.CONNECTION_FAILED,
    OSError: policies.CONNECTION_FAILED,
    httpx.TimeoutException: policies.TIMED_OUT,
    TimeoutError: policies.TIMED_OUT,
    ig.ClientRequestTimeout: policies.TIMED_OUT,
    ig.ClientIncompleteReadError: policies.REPLY_INCOMPLETE,
    ig.ClientUnknownError: policies.SERVER_ERROR,
    ig.ClientJSONDecodeError: policies.REPLY_UNREADABLE,
    json.JSONDecodeError: policies.REPLY_UNREADABLE,
    UnicodeError: policies.REPLY_UNREADABLE,
    asyncio.CancelledError: policies.INTERRUPTED,
    SearchIncomplete: policies.SEARCH_INCOMPLETE,
    SimilarWriteFound: policies.SIMILAR_FOUND,
    CallOverdueError: policies.CALL_OVERDUE,
    SessionConflict: policies.SESSION_REPLACED,
    ig.ClientUnauthorizedError: policies.UNAUTHORIZED,
    # Fix the proxy
    ig.AuthRequiredProxyError: policies.PROXY_AUTH_REQUIRED,
    ig.ProxyError: policies.PROXY_REFUSED,
    httpx.ProxyError: policies.PROXY_REFUSED,
    ig.ProxyAddressIsBlocked: policies.PROXY_BLOCKED,
    # Cool down
    ig.ClientThrottledError: policies.RATE_LIMITED,
    ig.PleaseWaitFewMinutes: policies.PLEASE_WAIT,
    ig.RateLimitError: policies.RATE_LIMIT_ERROR,
    ig.SentryBlock: policies.SENTRY_BLOCK,
    ig.FeedbackRequired: policies.FEEDBACK_REQUIRED,
    # Hold the account
    ig.ChallengeError: policies.CHALLENGE_REQUIRED,
    ig.CaptchaChallengeRequired: policies.CHALLENGE_REQUIRED,
    ig.CheckpointRequired: policies.CHECKPOINT_REQUIRED,
    ig.ConsentRequired: policies.CONSENT_REQUIRED,
    ig.GeoBlockRequired: policies.GEOBLOCK_REQUIRED,
    ig.AccountSuspended: policies.ACCOUNT_SUSPENDED,
    ig.TermsAccept: policies.TERMS_REQUIRED,
    ig.TermsUnblock: policies.TERMS_REQUIRED,
    ig.BadPassword: policies.BAD_PASSWORD,
    ig.BadCredentials: policies.BAD_CREDENTIALS,
    ig.TwoFactorRequired: policies.TWO_FACTOR_REQUIRED,
    ig.ClientNeedsUpgradeError: policies.CLIENT_OUTDATED,
    ig.ReloginAttemptExceeded: policies.RELOGIN_EXCEEDED,
    SessionUnreadable: policies.SESSION_UNREADABLE,
    DeviceChanged: policies.DEVICE_CHANGED,
    UnknownAccount: policies.UNKNOWN_ACCOUNT,
    # Log in again
    ig.LoginRequired: policies.LOGIN_REQUIRED,
    ig.PreLoginRequired: policies.LOGIN_REQUIRED,
    ig.ClientLoginRequired: policies.LOGIN_REQUIRED,
    # Fail this job only
    ig.UserNotFound: policies.USER_NOT_FOUND,
    ig.MediaNotFound: policies.MEDIA_NOT_FOUND,
    ig.MediaUnavailable: policies.MEDIA_UNAVAILABLE,
    ig.InvalidMediaId: policies.INVALID_MEDIA_ID,
    ig.CommentUnavailable: policies.COMMENT_UNAVAILABLE,
    ig.CommentNotFound: policies.COMMENT_NOT_FOUND,
    ig.CommentsDisabled: policies.COMMENTS_DISABLED,
    ig.PrivateAccount: policies.PRIVATE_ACCOUNT,
    ig.InvalidTargetUser: policies.INVALID_TARGET_USER,
    ig.DirectMessageRequestsDisabled: policies.REQUESTS_DISABLED,
    ig.DirectThreadNotFound: policies.THREAD_NOT_FOUND,
    ig.IsRegulatedC18Error: policies.AGE_RESTRICTED,
    InvalidIdentifier: policies.INVALID_TARGET,
    ValueError: policies.INVALID_REQUEST,
    # Refusals without a known reason
    ig.ClientError: policies.REFUSED_UNCLEAR,
    # The library or this client stumbled over the reply
    MissingPk: policies.REPLY_WITHOUT_PK,
    pydantic.ValidationError: policies.REPLY_UNEXPECTED,
    LookupError: policies.REPLY_UNEXPECTED,
    AssertionError: policies.REPLY_UNEXPECTED,
    TypeError: policies.REPLY_UNEXPECTED,
    AttributeError: policies.REPLY_UNEXPECTED,
    UnboundLocalError: policies.REPLY_UNEXPECTED,
    BaseException: policies.UNEXPECTED_ERROR,
}


def policy_for_exception(error: BaseException) -> ErrorPolicy:
    """The policy of an exception's class."""
    return next(POLICIES[kind] for kind in type(error).__mro__ if kind in POLICIES)
