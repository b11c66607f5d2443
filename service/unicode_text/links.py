"""Finds what an app would turn into a link or a mention, and what is written to be read as one.

As broad as Android's `Patterns.AUTOLINK_WEB_URL`, which knows bare domains by their top-level
domain, and broader: a missed link goes out in somebody's name, while one too many is an error
message. All of it takes linear time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from service.unicode_text.top_level_domains import TOP_LEVEL_DOMAINS

Span = tuple[int, int]

_APPS: Final = r"(?:mailto|javascript|whatsapp|skype|callto|facetime|tg)"
_OPEN: Final = r"[\[({<]\s*"
_CLOSE: Final = r"\s*[\])}>]"
#: Most texts have none of these, and so no link.
_MARK: Final = re.compile(r"dot|punkt|punto|\(\.|[(\[{<]at|xn--")
_DOT_WITHIN: Final = re.compile(r"\.(?:[^\s.,;:!?)\"']|\s+com\b)|\s\.")
_COLON_WITHIN: Final = re.compile(rf":[/\\]|{_APPS}:|\b(?:tel|sms):")

_RUN: Final = re.compile(r"\S+")
# What ends a host cannot be part of one.
_WORD: Final = re.compile(r"[^\s/?#\\,;!\"'<>(){}\[\]|]+")
_SCHEME: Final = re.compile(rf"(?<![\w+.-])\w[\w+.-]*:[/\\]{{2}}(?:{_WORD.pattern})?")
_APP_LINK: Final = re.compile(rf"\b{_APPS}:\S|\b(?:tel|sms):[+0-9]")
_DISGUISE: Final = re.compile(r"[\[({<]|\s\.|\.\s+com|dot|pun[kt]")
#: Domains and addresses that are spelled out or broken up.
_DISGUISED: Final = re.compile(
    rf"{_OPEN}(?:\.|dot|punkt|punto|point|at){_CLOSE}"
    r"|\b(?:dot|punkt|punto)\s+(?:com|net|org|info|io|me|ru|xyz|link|site|shop|de)\b"
    r"|\w(?:\s+\.\s*|\.\s+)com\b"
)
_MENTION: Final = re.compile(r"@\w[\w.]*")
_IP: Final = re.compile(r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9]|\.[0-9])")
_LABEL: Final = re.compile(r"(?<=[^.:@]\.)[^.:@]+")
_ASCII_START: Final = re.compile(r"[a-z0-9]*")

_BEFORE: Final = "\"'`([{<«‹“‘„*_"
_AFTER: Final = "\"'`)]}>»›”’.,;:!?…*_"


class Link(NamedTuple):
    """A link, a mention or a mail address in a text.

    Parameters:
      core: Start and end of what makes it one: scheme and host, or the mention.
      whole: Start and end of the characters around it up to white space.
      target: The whole, folded by `fold`, without quotes and punctuation around it.
      is_mention: Whether it is a mention, and neither a host nor a mail address.
    """

    core: Span
    whole: Span
    target: str
    is_mention: bool = False


def find_links(text: str) -> list[Link]:
    """Return the links, mentions and mail addresses in a text, in order."""
    folded = fold(text)
    if not _is_suspicious(folded):
        return []
    if text.isascii():
        return sorted(_links(folded))
    origins = [at for at, character in enumerate(text) for _ in fold(character)]
    return [
        link._replace(core=_original(link.core, origins), whole=_original(link.whole, origins))
        for link in sorted(_links("".join(map(fold, text))))
    ]


def remove_links(text: str) -> str:
    """Return a text as one line without links, mentions and mail addresses."""
    while links := find_links(text):
        kept, position = [], 0
        for link in links:
            start, end = link.whole
            kept.append(text[position:start])
            position = max(position, end)
        text = " ".join([*kept, text[position:]])
    return " ".join(text.split())


def fold(text: str) -> str:
    """Return a text in lower case, without the differences that domain names do not know."""
    if text.isascii():
        return text.lower()
    # The ideographic full stop separates labels too: https://www.unicode.org/reports/tr46/
    return unicodedata.normalize("NFKC", text).casefold().replace("\u3002", ".")


def trim_punctuation(link: str) -> str:
    """Return a link without quotes and punctuation around it."""
    return link.lstrip(_BEFORE).rstrip(_AFTER)


def _is_suspicious(folded: str) -> bool:
    return (
        "@" in folded
        or _MARK.search(folded) is not None
        or ("." in folded and _DOT_WITHIN.search(folded) is not None)
        or (":" in folded and _COLON_WITHIN.search(folded) is not None)
    )


def _links(folded: str) -> Iterator[Link]:
    for run in _RUN.finditer(folded):
        if not {".", "@", ":"}.isdisjoint(run[0]) or "xn--" in run[0]:
            target = trim_punctuation(run[0])
            for (start, end), is_mention in _cores(run[0]):
                core = run.start() + start, run.start() + end
                yield Link(core, run.span(), target, is_mention)
    if _DISGUISE.search(folded):
        for match in _DISGUISED.finditer(folded):
            yield Link(match.span(), match.span(), match[0])


def _cores(run: str) -> Iterator[tuple[Span, bool]]:
    schemes = [match.span() for match in _SCHEME.finditer(run)] if ":" in run else []
    yield from ((span, False) for span in schemes)
    if run.count(":") > len(schemes):
        yield from ((match.span(), False) for match in _APP_LINK.finditer(run))
    hosts_seen = {end for _, end in schemes}
    for word in _WORD.finditer(run):
        start, end = word.span()
        if end in hosts_seen:
            continue
        if _is_host(word[0]):
            yield (start, end), False
        elif "@" in word[0]:
            yield from ((match.span(), True) for match in _MENTION.finditer(run, start, end))


def _is_host(word: str) -> bool:
    if "." not in word and "xn--" not in word:
        return False
    if word.startswith("www.") or "xn--" in word:
        return True
    if word.startswith("@") and _MENTION.fullmatch(word.rstrip(_AFTER)):
        return False  # `@anna.studio` is a mention
    return _IP.search(word) is not None or any(map(_is_top_level, _LABEL.findall(word)))


def _is_top_level(label: str) -> bool:
    # An app ends a domain at the first character of another script.
    start = _ASCII_START.match(label)
    return label in TOP_LEVEL_DOMAINS or (start is not None and start[0] in TOP_LEVEL_DOMAINS)


def _original(span: Span, origins: Sequence[int]) -> Span:
    return origins[span[0]], origins[span[1] - 1] + 1
