"""Compares a text that was sent with one that Instagram shows. Pure.

Instagram does not store every text as it was sent: runs of line breaks become one space
(mgp25/Instagram-API#1118, dilame/instagram-private-api#902), white space beside a line break is
dropped (liamcottle/Instagram-SDK-PHP#23), and some comments lose their mentions or links
(mgp25/Instagram-API#649). So two texts are compared in a form without what may have changed.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import parse_qsl, unquote

#: Letters and digits that a text must have kept if it was cut off: before an ellipsis, or without.
MIN_CUT_LETTERS: Final = 30
MIN_UNMARKED_CUT_LETTERS: Final = 100
#: And that it must have lost without an ellipsis: "order 1" is not the beginning of "order 12".
MIN_UNMARKED_LOSS: Final = 10
#: So many letters and digits must be left of a text that lost its links, mentions or hashtags.
MIN_REST_LETTERS: Final = 12

_LINK: Final = re.compile(
    r"(?<![\w@.-])(?:https?://)?(?:[\w-]+\.)+[^\W\d_]{2,}(?::\d+)?(?:[/?#]\S*)?"
    r"[.,;:!?)\]}>'\"*]*",
    re.IGNORECASE,
)
_NAME: Final = re.compile(r"(?<!\w)[@#]\w(?:[\w.]*\w)?")
_MENTION: Final = re.compile(r"(?<!\w)@\w(?:[\w.]*\w)?")
_HASHTAG: Final = re.compile(r"(?<!\w)#\w+")

#: Instagram's own redirects; the link itself is their parameter `u`.
_REDIRECTS: Final = frozenset({"l.instagram.com", "l.facebook.com", "lm.facebook.com"})
_TRACKING: Final = re.compile(
    r"(?:utm_\w+|fbclid|gclid|igsh(?:id)?|mc_[ce]id)(?:=.*)?", re.IGNORECASE
)
_CUT: Final = "..."
_PUNCTUATION_AFTER_LINKS: Final = ".,;:!?)]}>'\"*"

#: Typographic punctuation that editors and servers exchange for ASCII and back.
_TYPOGRAPHIC: Final = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc\u0060\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    }
)
#: Invisible, although their category is not "format": fillers, blanks, variation selectors.
_FILLERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def is_same(shown: str, sent: str) -> bool:
    """Whether two texts differ only in how Instagram writes them.

    That is: in white space, invisible characters, Unicode's compositions, HTML entities, quotes and
    dashes, the case of mentions and hashtags, and how links are written (scheme, `www.`, case of
    the host, redirect, tracking parameters, trailing slash or punctuation, cut off after the host).

    Parameters:
      shown: The text that Instagram shows.
      sent: The text that was sent.
    """
    ours, theirs = normalise(sent).split(), normalise(shown).split()
    if not theirs:
        return not ours
    if len(ours) != len(theirs):
        return False
    return all(a == b or _is_cut_link(a, b) for a, b in zip(theirs, ours, strict=True))


def is_alike(shown: str, sent: str) -> bool:
    """Whether `shown` may be what Instagram made of `sent`, although they are not the same.

    It may if it has the same letters and digits, or is its beginning (`MIN_CUT_LETTERS`,
    `MIN_UNMARKED_CUT_LETTERS`), or lacks only links, mentions or hashtags (`MIN_REST_LETTERS`). A
    changed, added or missing word is another text: jobs of one rule often differ in a name only.

    Parameters:
      shown: The text that Instagram shows.
      sent: The text that was sent.
    """
    theirs, ours = normalise(shown), normalise(sent)
    letters = _letters(theirs)
    if letters and letters == _letters(ours):
        return True
    return _is_beginning(theirs, ours) or _lacks_only_references(theirs, ours)


def has_link(sent: str, url: str) -> bool:
    """Whether a text has a link that is shown as `url`, in full or cut off."""
    shown = normalise(url)
    return bool(shown) and any(_derives(shown, link) for link in _links(normalise(sent)))


def normalise(text: str) -> str:
    """Return the form in which texts are compared; white space is single spaces."""
    composed = unicodedata.normalize("NFKC", html.unescape(text)).translate(_TYPOGRAPHIC)
    visible = "".join(filter(_is_visible, composed))
    named = _NAME.sub(lambda match: match[0].lower(), _LINK.sub(_normal_link, visible))
    return " ".join(named.split())


def _is_visible(char: str) -> bool:
    if char.isspace():
        return True
    return unicodedata.category(char) not in {"Cf", "Cc"} and not (
        char in _FILLERS or "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    )


def _normal_link(match: re.Match[str]) -> str:
    written = match[0]
    cut = _CUT if written.endswith(_CUT) else ""
    link = re.sub(r"^https?://", "", written.rstrip(_PUNCTUATION_AFTER_LINKS), flags=re.IGNORECASE)
    host, rest = re.fullmatch(r"([^/?#]*)(.*)", link, re.DOTALL).groups()  # type: ignore[union-attr]
    path, _, query = rest.partition("?")
    if host.lower() in _REDIRECTS and (target := dict(parse_qsl(query)).get("u")):
        return _LINK.sub(_normal_link, target)
    kept = "&".join(part for part in query.split("&") if not _TRACKING.fullmatch(part))
    address = host.lower().removeprefix("www.") + _decoded(path) + (f"?{kept}" if kept else "")
    return address.rstrip("/" + _PUNCTUATION_AFTER_LINKS) + cut


def _decoded(path: str) -> str:
    """Decode %xx, but not to white space, which would end the link."""
    return re.sub(r"\s", "%20", unquote(path))


def _is_cut_link(shown: str, sent: str) -> bool:
    """Whether `shown` is a link whose end is replaced by an ellipsis, after the host."""
    visible = shown.removesuffix(_CUT)
    return visible != shown and "/" in visible and _is_link(sent) and sent.startswith(visible)


def _is_link(token: str) -> bool:
    return _LINK.fullmatch(token) is not None


def _derives(shown: str, link: str) -> bool:
    """Whether a shown link is one that was sent, in full or without its end."""
    visible = shown.removesuffix(_CUT)
    return "." in visible and link.startswith(visible)


def _links(text: str) -> Sequence[str]:
    return [match[0] for match in _LINK.finditer(text)]


def _is_beginning(shown: str, sent: str) -> bool:
    letters, ours = _letters(shown), _letters(sent)
    if not ours.startswith(letters):
        return False
    if shown.endswith(_CUT):
        return len(letters) >= MIN_CUT_LETTERS
    lost = len(ours) - len(letters)
    return len(letters) >= MIN_UNMARKED_CUT_LETTERS and lost >= MIN_UNMARKED_LOSS


def _lacks_only_references(shown: str, sent: str) -> bool:
    """Whether a text differs only in links that are cut off, or references that are missing."""
    kept = [_all_kept(shown, sent, kind, same) for kind, same in _REFERENCES]
    rest = _letters(_without_references(sent))
    if not all(kept) or _letters(_without_references(shown)) != rest:
        return False
    return len(rest) >= MIN_REST_LETTERS or bool(_links(shown))


def _all_kept(
    shown: str, sent: str, kind: re.Pattern[str], same: Callable[[str, str], bool]
) -> bool:
    """Whether each reference that is shown is one that was sent."""
    ours = kind.findall(sent)
    return all(any(same(theirs, our) for our in ours) for theirs in kind.findall(shown))


_REFERENCES: Final[Sequence[tuple[re.Pattern[str], Callable[[str, str], bool]]]] = (
    (_LINK, _derives),
    (_MENTION, str.__eq__),
    (_HASHTAG, str.__eq__),
)


def _without_references(text: str) -> str:
    for kind, _ in _REFERENCES:
        text = kind.sub(" ", text)
    return text


def _letters(text: str) -> str:
    """Return the letters and digits, without case or accents; without any, the symbols."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(char for char in apart if unicodedata.category(char)[0] in "LN")
    return letters or "".join(
        char for char in apart if unicodedata.category(char) in {"So", "Sm", "Sc"}
    )
