"""Words about one recipient, post or text, by their policies; see `refusal_words`."""

from __future__ import annotations

from typing import Final

from actors.instagram import error_policies as policies
from actors.instagram.error_policies import ErrorPolicy

NOT: Final = (
    r"(?:(?:ca|could|wo|do|does|is|are)n't|cannot|(?:can|could|will|do|does|is|are) not|unable to"
    r"|can't|won't|not able to|not allowed to|no longer)"
)
_SEND: Final = (
    r"(?:messag(?:e|es|ing)|dm|write to|chat with|contact|reply to|respond to"
    r"|send (?:\w+ ){0,3}messages?|start (?:a )?(?:new )?(?:conversation|chat|thread) with)"
)
_THEM: Final = (
    r"(?:(?:(?:this|that|the|these) )?(?:account|user|person|people|profile|recipient|conversation"
    r"|thread|chat|business|page)s?|them|him|her|someone|somebody)"
)

#: Searched from the top. Patterns see texts as `reply_texts.fold` writes them.
TARGET_WORDS: Final[tuple[tuple[ErrorPolicy, tuple[str, ...]], ...]] = (
    # Who may comment: before who may write, whose words are the same
    (
        policies.COMMENTS_DISABLED,
        (
            # ohld/igbot pull request 785
            r"\bturned off comment(?:s|ing)\b",
            r"\bcomment(?:s|ing)? (?:\w+ ){0,6}(?:(?:turned|switched) off|disabled|closed)\b",
            r"\bcommenting is off\b",
            r"\bcomments disabled\b",
            r"\bdisabled comment(?:s|ing)\b",
            rf"\b(?:post|media|user|account) {NOT} (?:allow|accept|take) comments?\b(?! from)",
        ),
    ),
    (
        policies.COMMENTS_LIMITED,
        (
            r"\bcomment(?:s|ing)? (?:\w+ ){0,6}(?:limited|restricted)\b",
            r"\b(?:limited|restricted) (?:who can |the )?comment(?:s|ing)?\b",
            r"\bonly .{1,60} can comment\b",
            r"\bcomments? from\b",
            r"\bwho can comment\b",
            r"\bfollow\w* .{0,40}\bto (?:be able to )?comment\b",
            r"\bnot (?:everyone|everybody|anyone) can comment\b",
            r"\b(?:can't|cannot|not allowed to|no longer) (?:(?:post|leave|add) )?(?:a )?comments? "
            r"on (?:this|that|their|\S+'s) \w+",
        ),
    ),
    # The recipient
    (
        policies.REQUEST_PENDING,
        (
            r"\b(?:until|unless|before|once|after) (?:they|he|she|\S+) "
            r"(?:accepts?|(?:has|have) accepted) (?:your|the) (?:\w+ ){0,2}(?:invite|request)",
            r"\b(?:invite|request) (?:is|has been|gets) accepted\b",
            r"\brequest until (?:they|he|she|\S+) accepts?\b",
        ),
    ),
    (
        policies.REQUESTS_DISABLED,
        (
            # aiograpi 2.1.2, mixins/private.py; instagrapi pull request 2585
            rf"\b(?:{NOT}|not) .{{0,50}}\b(?:message|chat|dm) requests?\b",
            r"\b(?:message|chat|dm) requests? .{0,30}\b"
            r"(?:off|disabled|closed|not (?:allowed|accepted))\b",
            r"\bmessage this account unless they follow you\b",
        ),
    ),
    (
        policies.MESSAGES_REFUSED,
        (
            rf"\b{NOT} (?:be able to )?(?:directly )?{_SEND} (?:to )?{_THEM}\b",
            rf"\b{NOT} {_SEND} (?:to )?\S+ (?:because|unless|until|since) (?:they|he|she|of )",
            rf"\b{NOT} be (?:messaged|contacted)\b",
            rf"\b{NOT} (?:\w+ ){{0,2}}(?:accept|allow|receiv|tak|get|want)\w* "
            r"(?:\w+ ){0,4}(?:messages?|dms?)\b",
            r"\bnot (?:everyone|everybody|anyone) can (?:send |direct )?(?:message|dm|messages)\b",
            r"\b(?:nobody|no one) can (?:message|dm)\b",
            r"\bonly .{1,60} can (?:message|dm|send (?:\w+ )?messages)\b",
            r"\b(?:unless|until|if|when) (?:they|he|she|the (?:user|recipient)) follows? you\b",
            r"\b(?:must|have to|needs? to|has to) (?:first )?(?:be )?follow(?:ed by|ing)?"
            r"(?: (?:this|that|them|him|her|you|each|back|first|before|to|in|someone|people"
            r"|the (?:user|account|person|recipient))\b|[.!]*$)",
            r"\bfollow .{1,40} to (?:be able to )?(?:send|message|dm)\b",
            r"\bonly (?:allow|accept|receive|take)s? .{0,20}messages? from\b",
            r"\b(?:has|have|user|account|person|recipient|they) "
            r"(?:restrict(?:s|ed)|limit(?:s|ed)|disable[sd]|turned off) "
            r"(?:their |who |direct |all )*(?:messages|messaging|dms)\b",
            r"\bmessag(?:es|ing) (?:from \w+ |for \w+ )?(?:is|are|(?:has|have) been) "
            r"(?:restricted|disabled|turned off)\b",
            r"\brestricted from messaging by\b",
            r"\b(?:user|recipient|person|account) (?:is |are )?(?:not reachable|unreachable)\b",
            r"\bfollows? you (?:back|first|before)\b",
            r"\b(?:don't|do not|doesn't|does not|isn't|aren't|not) follow(?:ing)? "
            r"(?:you|them|this|each other)\b",
            r"\bnot (?:to )?(?:receive|accept|get|allow) (?:\w+ ){0,3}(?:messages?|dms?)\b",
            r"\bwho can (?:message|dm|contact|send)\b(?! you\b)",
            # instagrapi issue 1240: the recipient's app or settings
            r"\bapp version or other settings\b",
            r"\b(?:their|recipient's|user's|person's|account's) (?:\w+ ){0,2}settings\b",
            r"(?<!your )\bprivacy settings\b",
            r"\bblocked (?:you|(?:the|this) sender)\b",
            r"\b(?:not |un)messageable\b",
            r"\bblocked by (?:(?:this|the|that) )?(?:user|account|person|recipient)\b",
            r"\b(?:user|recipient|account|person) (?:is |has been |was )?blocked\b",
            r"\b(?:you )?blocked (?:this |the )?(?:user|account|person|recipient)\b",
            r"\b(?:thread|conversation|chat|recipient|recipients) (?:is |are |has become )?"
            r"(?:not |un|no longer )available\b",
            r"\b(?:user|recipient|person) (?:isn't |(?:is )?(?:not |un))available "
            r"(?:for messag|to messag|to chat|on \w+)",
            rf"(?:\bnot|n't|\bno) (?:have )?permission to {_SEND}\b",
            r"\b(?:user|recipient|account|person) has restricted you\b",
            r"\brestricted by (?:this|the) (?:user|recipient|account|person)\b",
            r"\bmessag(?:e|es|ing) (?:is |are )?(?:not |un)available (?:for|to|with)\b",
            rf"\b(?:user|recipient|person|account) .{{0,20}}{NOT} .{{0,20}}\bmessag(?:e|ing)",
        ),
    ),
    # The post
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
            r"\buser (?:someone |something )?(?:was |is )?not found\b",
            r"\buser (?:someone |something )?does(?:n't| not) exist\b",
            r"\berror generating user info\b",
            r"\bunable to fetch followers\b",
        ),
    ),
    (policies.PRIVATE_ACCOUNT, (r"\bnot authorized to view user\b", r"\baccount is private\b")),
    (
        policies.INVALID_TARGET_USER,
        (r"\binvalid (?:target )?(?:user|recipient)s?\b(?! (?:agent|session|token|input))",),
    ),
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
            r"\bcontains? (?:\w+ ){0,3}(?:content|links?|urls?|words?|text|language|spam)\b",
            r"\b(?:prohibited|sensitive|inappropriate|abusive|offensive|hateful|harmful) "
            r"(?:content|language|words?|text)\b",
            r"\bmessage (?:was |is |has been )?blocked\b",
            r"\bcomment (?:was |is |has been )?blocked by\b",
            r"\b(?:edit|change|rephrase|modify) (?:your|the|this) (?:message|comment|text)\b",
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
