"""The words by which a reply of Instagram says what it means, at whatever status they come.

One table, searched from the top: the first row that fits any text of the reply decides, so that
what is particular stands above what is general. The words are Instagram's English ones, as clients
of its private API have reported them; in another language only the machine words are found.
"""

from __future__ import annotations

import re
from typing import Final

from actors.instagram import error_policies as policies
from actors.instagram.error_policies import ErrorPolicy

Rows = tuple[tuple[ErrorPolicy, re.Pattern[str]], ...]
Flags = tuple[tuple[str, ErrorPolicy], ...]

_NOT: Final = (
    r"(?:(?:ca|could|wo|do|does|is|are)n't|cannot|(?:can|could|will|do|does|is|are) not|unable to"
    r"|can't|won't|not able to|not allowed to|no longer)"
)
_SEND: Final = (
    r"(?:messag(?:e|es|ing)|dm|write to|chat with|contact|reply to|respond to"
    r"|send (?:\w+ ){0,3}messages?)"
)
_THEM: Final = r"(?:this|that|the|these|them|him|her|people|someone|somebody)"

#: Policies by the words that mean them. A row's patterns see texts as `reply_texts.fold` writes
#: them: no capitals, underscores as spaces, straight quotes.
_TABLE: Final[tuple[tuple[ErrorPolicy, tuple[str, ...]], ...]] = (
    # The account
    (
        policies.ACCOUNT_SUSPENDED,
        (
            r"your account (?:has been|was|is|'s been) (?:\w+ ){0,2}"
            r"(?:disabled|suspended|deactivated|banned|deleted)(?! from)",
            r"^inactive user$",  # mgp25/Instagram-API pull request 885
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
            r"\bsuspicious (?:login|log-in|activity)\b",
        ),
    ),
    (
        policies.LOGIN_REQUIRED,
        (
            r"\blogin required\b",
            # dilame/instagram-private-api issue 1602, at 403
            r"\buser has logged out\b",
            r"\b(?:you've|you have|you were) been logged out\b",
            r"\b(?:please )?log back in\b",
            r"\b(?:you (?:must|need to)|please) (?:be logged in|log in|login)\b",
            r"\bsession (?:has |is )?(?:expired|invalid|no longer valid)\b",
            r"\binvalid session\b",
            r"\b(?:user|you(?:'re| are)) not logged in\b",
        ),
    ),
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
        (r"\btoo many requests\b", r"\bthrottled?\b", r"\b(?:app|user) request limit\b"),
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
            r"\byou(?:'re| are|'ve been| have been) (?:blocked|restricted|prevented) from\b",
        ),
    ),
    # The recipient
    (
        policies.REQUEST_PENDING,
        (
            r"\b(?:until|unless|before|once|after) (?:they|he|she|\S+) "
            r"(?:accepts?|(?:has|have) accepted) (?:your|the) (?:\w+ ){0,2}(?:invite|request)",
            r"\b(?:invite|request) (?:is|has been|gets) accepted\b",
        ),
    ),
    (
        policies.REQUESTS_DISABLED,
        (
            # aiograpi 2.1.2, mixins/private.py; instagrapi pull request 2585
            rf"\b(?:{_NOT}|not) .{{0,50}}\b(?:message|chat|dm) requests?\b",
            r"\b(?:message|chat|dm) requests? .{0,30}\b(?:off|disabled|closed|not allowed)\b",
            r"\bmessage this account unless they follow you\b",
        ),
    ),
    (
        policies.MESSAGES_REFUSED,
        (
            rf"\b{_NOT} (?:be able to )?(?:directly )?{_SEND} (?:to )?{_THEM}\b",
            rf"\b{_NOT} be (?:messaged|contacted)\b",
            rf"\b{_NOT} (?:\w+ ){{0,2}}(?:accept|allow|receiv|tak|get|want)\w* "
            r"(?:\w+ ){0,4}(?:messages?|dms?)\b",
            r"\bnot (?:everyone|everybody|anyone) can (?:send |direct )?(?:message|dm|messages)\b",
            r"\b(?:nobody|no one) can (?:message|dm)\b",
            r"\bonly .{1,60} can (?:message|dm|send (?:\w+ )?messages)\b",
            r"\b(?:unless|until|if|when) (?:they|he|she|the (?:user|recipient)) follows? you\b",
            r"\b(?:must|have to|needs? to|has to) (?:first )?(?:follow|be follow(?:ed|ing))\b",
            r"\bfollows? you (?:back|first|before)\b",
            r"\b(?:don't|do not|doesn't|does not|isn't|aren't|not) follow(?:ing)? "
            r"(?:you|them|this|each other)\b",
            r"\bnot (?:to )?(?:receive|accept|get|allow) (?:\w+ ){0,3}(?:messages?|dms?)\b",
            r"\bwho can (?:message|dm|contact|send)\b",
            # instagrapi issue 1240: the recipient's app or settings
            r"\bapp version or other settings\b",
            r"\b(?:their|recipient's|user's|person's|account's) (?:\w+ ){0,2}settings\b",
            r"\bprivacy settings\b",
            r"\b(?:has|have|'ve|'s|was|were|been|is) blocked (?:you|by (?:this|the|that))\b",
            r"\b(?:user|recipient|account|person) (?:is |has been |was )?blocked\b",
            r"\b(?:you )?blocked (?:this |the )?(?:user|account|person|recipient)\b",
            r"\b(?:thread|conversation|chat|recipient|recipients) (?:is |are |has become )?"
            r"(?:not |un|no longer )available\b",
            r"\b(?:user|recipient|person) (?:is )?(?:not |un)available (?:for|to) messag",
            r"\bmessag(?:e|es|ing) (?:is |are )?(?:not |un)available (?:for|to|with)\b",
            rf"\b(?:user|recipient|person|account) .{{0,20}}{_NOT} .{{0,20}}\bmessag(?:e|ing)",
        ),
    ),
    # The post
    (
        policies.COMMENTS_DISABLED,
        (
            # ohld/igbot pull request 785
            r"\bturned off comment(?:s|ing)\b",
            r"\bcomment(?:s|ing)? (?:\w+ ){0,6}(?:(?:turned|switched) off|disabled|closed)\b",
            r"\bcommenting is off\b",
            r"\bcomments disabled\b",
            r"\bdisabled comment(?:s|ing)\b",
            rf"\b(?:post|media|user|account) {_NOT} (?:allow|accept|take) comments?\b",
        ),
    ),
    (
        policies.COMMENTS_LIMITED,
        (
            r"\bcomment(?:s|ing)? (?:\w+ ){0,6}(?:limited|restricted)\b",
            r"\b(?:limited|restricted) (?:who can |the )?comment(?:s|ing)?\b",
            r"\bonly .{1,60} can comment\b",
            r"\bnot (?:everyone|everybody|anyone) can comment\b",
            r"\b(?:can't|cannot|not allowed to) comment on (?:this|that|their|\S+'s) \w+",
        ),
    ),
    (
        policies.MEDIA_UNAVAILABLE,
        (
            r"\bcomment media does not exist\b",  # dilame/instagram-private-api issue 885
            r"\bmedia (?:is |not found or )?unavailable\b",
            r"\b(?:post|photo|video|reel|media)\b.{0,30}\b(?:was|has been|been|is) "
            r"(?:deleted|removed|archived|unavailable|no longer available)\b",
        ),
    ),
    (policies.MEDIA_NOT_FOUND, (r"\b(?:media|post) (?:not found|does(?:n't| not) exist)\b",)),
    (policies.INVALID_MEDIA_ID, (r"\binvalid media ?id\b",)),
    (policies.COMMENT_UNAVAILABLE, (r"\bcomment is (?:unavailable|not available)\b",)),
    # The user
    (
        policies.USER_NOT_FOUND,
        (
            r"\b(?:target )?user (?:was |is )?not found\b",
            r"\buser does(?:n't| not) exist\b",
            r"\berror generating user info\b",
            r"\bunable to fetch followers\b",
        ),
    ),
    (policies.PRIVATE_ACCOUNT, (r"\bnot authorized to view user\b", r"\baccount is private\b")),
    (policies.INVALID_TARGET_USER, (r"\binvalid (?:target )?(?:user|recipient)s?\b",)),
    (
        policies.AGE_RESTRICTED,
        (r"\brestricted by age\b", r"\bage[ -]restricted\b", r"\bminimum age\b"),
    ),
    (policies.THREAD_NOT_FOUND, (r"\bthread (?:was )?(?:not found|does(?:n't| not) exist)\b",)),
    # The text
    (
        policies.TEXT_TOO_LONG,
        (
            r"\b(?:message|comment|text|caption)\b.{0,20}\btoo long\b",
            r"^too long$",
            r"\b(?:exceed\w*|over|above|longer than|more than|at most|limited to|maximum)"
            r" (?:\S+ ){0,5}(?:characters?|length|bytes)\b",
            r"\bcharacter limit\b",
            r"\b(?:max|maximum) (?:\w+ )?length\b",
            r"\btoo many characters\b",
            r"\bcomment text limit\b",
        ),
    ),
    (
        policies.CONTENT_REFUSED,
        (
            r"\bcommunity (?:guidelines|standards)\b",
            # mgp25/Instagram-API issue 698
            r"\bcontains? (?:\w+ ){0,3}(?:content|links?|urls?|words?|text|language)\b",
            r"\bsecurity systems?\b",
            r"\b(?:links?|urls?|websites?)\b.{0,40}\b(?:blocked|harmful|malicious|unsafe|removed"
            r"|prohibited|forbidden|can't be (?:shared|sent|posted)|(?:not|isn't|aren't) "
            r"(?:allowed|permitted))",
            r"\b(?:looks?|similar|appears?|seems?|identified|detected|marked|flagged|reported)\b"
            r".{0,30}\bspam",
            r"\bis spam\b|\bas spam\b|\bspammy\b",
            r"\b(?:message|comment|text|content)\b.{0,30}\b(?:goes against|violates?|abusive|"
            r"offensive|inappropriate|not allowed|isn't allowed|was removed|has been blocked)",
            r"\b(?:duplicate|identical|same|repeated) (?:comment|message|text)\b",
            r"\balready (?:posted|sent|commented|said) (?:this|that)\b",
            r"\bfailed to mention\b",  # instagram4j issue 656: too many mentions
            r"\btoo many (?:hashtags|mentions|links|tags|emojis?)\b",
        ),
    ),
)

#: This kind of action, said in general: only where nothing else says more.
_BLOCK: Final = (
    r"\bfeedback required\b",
    r"\baction blocked\b",
    # instagrapi issue 2355, mgp25/Instagram-API issue 2369, instagram-php-scraper issue 766
    rf"\b{_NOT} (?:add |post |leave |make )?(?:your |a |this |any )?comments?\b",
    r"\bfeature isn't available\b",
    r"\bprotect our community\b",
)

#: Fields that say what the words do not: of one comment, and in general.
COMMENT_FLAGS: Final[Flags] = (
    ("comments_disabled", policies.COMMENTS_DISABLED),
    ("comment_error_key", policies.COMMENT_REFUSED),
)
FLAGS: Final[Flags] = (
    ("consent_data", policies.CONSENT_REQUIRED),
    ("checkpoint_url", policies.CHECKPOINT_REQUIRED),
    ("challenge", policies.CHALLENGE_REQUIRED),
    ("feedback_required", policies.FEEDBACK_REQUIRED),
    ("spam", policies.FEEDBACK_REQUIRED),
)


def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


ROWS: Final[Rows] = tuple((policy, _any_of(patterns)) for policy, patterns in _TABLE)
BLOCK_ROW: Final[Rows] = ((policies.FEEDBACK_REQUIRED, _any_of(_BLOCK)),)
