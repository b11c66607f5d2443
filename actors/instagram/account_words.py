"""Words about the account and what it does too much of, by their policies; see `refusal_words`."""

from __future__ import annotations

from typing import Final

from actors.instagram import error_policies as policies
from actors.instagram.error_policies import ErrorPolicy

#: Searched from the top. Patterns see texts as `reply_texts.fold` writes them.
ACCOUNT_WORDS: Final[tuple[tuple[ErrorPolicy, tuple[str, ...]], ...]] = (
    # The account
    (
        policies.ACCOUNT_SUSPENDED,
        (
            r"your account (?:has been|was|is|'s been) (?:\w+ ){0,2}"
            r"(?:disabled|suspended|deactivated|banned|deleted)(?! from)",
            r"^inactive (?:user|account)$",  # mgp25/Instagram-API pull request 885
            r"\b(?:suspended|disabled|deactivated) your account\b",
            r"^account (?:suspended|disabled|deactivated|inactive)$",
            r"^user (?:suspended|disabled|deactivated|inactive)$",
        ),
    ),
    (
        policies.CLIENT_OUTDATED,
        (
            r"\bneeds upgrade\b",
            # liamcottle/Instagram-SDK-PHP issue 20, dilame/instagram-private-api issue 1687
            r"\bupdate (?:your |the )?(?:instagram|app|version)\b",
            r"\bupdate to the (?:latest|newest|current) version\b",
            r"\bversion (?:of instagram )?(?:is|has) (?:no longer|not) supported\b",
            r"\bunsupported version\b",
        ),
    ),
    (policies.CONSENT_REQUIRED, (r"\bconsent required\b", r"\bupdates? to our terms\b")),
    (
        policies.TERMS_REQUIRED,
        (
            r"\bterms (?:required|accept|unblock)\b",
            r"\b(?:accept|agree to) (?:our |the |instagram's )?(?:\w+ )?terms\b",
        ),
    ),
    (policies.GEOBLOCK_REQUIRED, (r"\bgeo ?block(?:ed)?\b",)),
    (
        policies.CHECKPOINT_REQUIRED,
        (r"\bcheckpoint (?:required|logged out)\b", r"^checkpoint(?: error)?$"),
    ),
    (
        policies.CHALLENGE_REQUIRED,
        (
            r"\bchallenge required\b",  # also `checkpoint_challenge_required`
            r"\b(?:verify|confirm) (?:that )?(?:it's|it is|it was|this is) (?:really )?you\b",
            r"\b(?:verify|confirm) (?:your (?:account|identity)|you(?:'re| are) (?:a )?human)\b",
            r"\bcaptcha\b",
            r"\bverification required\b",
            r"\bautomated behaviou?r\b",
            r"\b(?:suspicious|unusual) (?:login|log-in|activity)\b",
        ),
    ),
    (
        policies.LOGIN_REQUIRED,
        (
            r"\blogin required\b",
            # dilame/instagram-private-api issue 1602, at 403
            r"\buser has logged out\b",
            r"\b(?:been|has|have|is|are|was|were) logged out\b",
            r"\bre-?log(?:in| in)\b",
            r"\b(?:please )?log back in\b",
            r"\b(?:you (?:must|need to)|please) (?:be logged in|log in|login)\b",
            r"\bsession (?:has |is )?(?:expired|invalid|no longer valid)\b",
            r"\binvalid session\b",
            r"\b(?:user|you(?:'re| are)) not logged in\b",
        ),
    ),
    (policies.PROXY_BLOCKED, (r"\bip (?:address )?(?:is |has been |was )?block(?:ed)?\b",)),
    # Too much at once
    (policies.SENTRY_BLOCK, (r"\bsentry block\b",)),
    (policies.RATE_LIMIT_ERROR, (r"\brate limit(?:s|ed|ing)?\b",)),
    (
        policies.PLEASE_WAIT,
        (
            r"\bplease wait\b",
            r"\bwait (?:for )?(?:a |some |\d+ )?(?:few |couple of |more )?"
            r"(?:moments?|minutes?|hours?|while|time|bit)\b",
            r"\btry again (?:in|after) (?:a |an |\d+ )?(?:few |couple of )?(?:minutes?|hours?)\b",
        ),
    ),
    (
        policies.RATE_LIMITED,
        (
            r"\btoo many (?:requests|attempts|actions|messages|comments)\b",
            r"\bthrottled?\b",
            r"\b(?:app|user) request limit\b",
            r"\bslow(?:ing)? down\b",
        ),
    ),
    # This kind of action: said with a time, of the account's past, or of the action as such
    (
        policies.FEEDBACK_REQUIRED,
        (
            r"\btemporarily (?:blocked|restricted|unable|prevented|suspended)\b",
            r"\b(?:block|restriction) will (?:expire|end|be lifted)\b",
            r"\b(?:previous|past|recent) use of this feature\b",
            r"\bthis action (?:was|has been|is) blocked\b",
            r"\b(?:going|doing (?:that|this)|posting|messaging|commenting) too (?:fast|often)\b",
            r"\blimit how often you\b",
            r"\bfor (?:the next )?(?:\d+|a few|several) (?:minutes?|hours?|days?|weeks?)\b",
            r"\bcomment si blocked\b",  # mgp25/Instagram-API issue 2652
            r"\byou .{0,40}\bmessag(?:e|es|ing) right now\b",
            r"\byour account (?:is|has|was|can't|cannot|isn't|hasn't|won't)\b.{0,40}"
            r"\b(?:send|messag|comment)",
            r"\byour (?:account|ability to \w+) .{0,30}\b(?:restricted|limited|blocked)\b"
            r"(?! to \d)",
            r"\b(?:reached|exceeded|hit) (?:the|your) (?:(?:daily|hourly|message|messaging|comment|"
            r"commenting|action|sending) )*limit\b",
            r"\byou(?:'re| are|'ve been| have been) (?:blocked|restricted|prevented) from\b",
            r"\b(?:any ?more|any other|more|another) (?:\w+ ){1,3}"
            r"(?:today|right now|for now|at this time|until tomorrow)\b",
            r"\byour account (?:has been|was|is) (?:\w+ ){0,2}(?:disabled|suspended|banned) from\b",
        ),
    ),
)
