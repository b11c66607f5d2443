"""What Instagram said of a challenge: the part that may be stored and shown. Pure.

Only names from a small alphabet, addresses that Instagram has masked itself and the path of a page
of its own are taken, whatever else a reply has: nonces, contexts and query strings answer the
challenge, and texts may be anybody's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

from actors.instagram.reply import exception_chain, reply_of

_NAME: Final = re.compile(r"[A-Za-z0-9_.]{1,64}")
_PATH: Final = re.compile(r"/[A-Za-z0-9/_.-]{0,200}")
_MASKED: Final = re.compile(r"(?=[^*•]*[*•]{2})[\w.+*•() @-]{4,80}")
_MASKED_IN_TEXT: Final = re.compile(r"[\w.+-]{0,30}[*•]{2,40}[\w.*•-]{0,30}@[\w.*•-]{2,60}")
_LAST_DIGITS: Final = re.compile(r"[0-9]{2,4}")
_CONTACTS: Final = ("contact_point", "email", "phone_number", "phone_number_preview")
_HOST: Final = "instagram.com"
#: Strings of one reply that are searched for a masked address, and characters of each.
_MOST_STRINGS: Final = 2_000
_MOST_CHARACTERS: Final = 100_000
_DEEPEST: Final = 20

_OF_LOGIN: Final = "heliograph_login"

Document = Mapping[str, Any]


def mark_login(error: BaseException) -> None:
    """Remember that a login raised an error: a code answers that, and no other call."""
    setattr(error, _OF_LOGIN, True)


def is_of_login(error: BaseException) -> bool:
    """Whether a login has raised an error, or what caused it."""
    return any(hasattr(link, _OF_LOGIN) for link in exception_chain(error))


def challenge_details(error: BaseException) -> dict[str, str]:
    """What the reply behind an error says of a challenge: the fields of `SAID` that it has.

    Parameters:
      error: What a call or login raised; the library's errors have a reply's fields as attributes.
    """
    documents = list(_documents(error))
    found = {
        "kind": _first(documents, _kind),
        "step": _first(documents, _step),
        "sent_to": _first(documents, _sent_to),
        "url": _first(documents, _url),
    }
    return {name: value for name, value in found.items() if value}


def _documents(error: BaseException) -> Iterator[Document]:
    for link in exception_chain(error):
        reply = reply_of(link)
        if reply is not None and reply.document is not None:
            yield reply.document
        yield vars(link)


def _first(documents: list[Document], read: Any) -> str:
    return next(filter(None, map(read, documents)), "")


def _mapping(value: object) -> Document:
    return value if isinstance(value, Mapping) else {}


def _context(document: Document) -> Document:
    """A challenge's context, a JSON object in a string (instagrapi issue 866)."""
    inner = document.get("challenge_context") or _mapping(document.get("challenge")).get(
        "challenge_context"
    )
    if not isinstance(inner, str) or len(inner) > _MOST_CHARACTERS:
        return {}
    try:
        return _mapping(json.loads(inner))
    except (ValueError, RecursionError):
        return {}


def _name(*candidates: object) -> str:
    names = (text for text in candidates if isinstance(text, str) and _NAME.fullmatch(text))
    return next(names, "")


def _kind(document: Document) -> str:
    challenge = _mapping(document.get("challenge"))
    named = _name(
        document.get("challenge_type_enum_str"),
        _context(document).get("challenge_type_enum"),
        document.get("challengeType"),
        challenge.get("challengeType"),
    )
    if "/auth_platform/" in str(challenge.get("api_path")):
        return "auth_platform"
    if challenge.get("native_flow") is True:
        return "native"
    return named or ("two_factor" if _mapping(document.get("two_factor_info")) else "")


def _step(document: Document) -> str:
    return _name(document.get("step_name"), _context(document).get("step_name"))


def _sent_to(document: Document) -> str:
    step = _mapping(document.get("step_data"))
    for contact in (step.get(name) for name in _CONTACTS):
        if isinstance(contact, str) and _MASKED.fullmatch(contact.strip()):
            return contact.strip()
    digits = _mapping(document.get("two_factor_info")).get("obfuscated_phone_number")
    if isinstance(digits, str) and _LAST_DIGITS.fullmatch(digits):
        return f"*** {digits}"
    return _masked_in_text(document.get("layout"))


def _masked_in_text(screen: object) -> str:
    """The masked e-mail address that a Bloks screen names."""
    for text in islice(_strings(screen, 0), _MOST_STRINGS):
        is_masked = "**" in text or "••" in text
        if is_masked and (found := _MASKED_IN_TEXT.search(text[:_MOST_CHARACTERS])):
            return found[0].rstrip(".")
    return ""


def _strings(node: object, depth: int) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif depth < _DEEPEST and isinstance(node, (Mapping, list)):
        for each in node.values() if isinstance(node, Mapping) else node:
            yield from _strings(each, depth + 1)


def _url(document: Document) -> str:
    """The challenge's page, without its query."""
    address = _mapping(document.get("challenge")).get("url") or document.get("checkpoint_url")
    if not isinstance(address, str):
        return ""
    try:
        parts = urlsplit(address, scheme="https")
        host = parts.hostname or f"i.{_HOST}"
        has_more = parts.port is not None or "@" in parts.netloc
    except ValueError:
        return ""
    is_own = host == _HOST or host.endswith(f".{_HOST}")
    if parts.scheme != "https" or not is_own or has_more or not _PATH.fullmatch(parts.path):
        return ""
    return f"https://{host}{parts.path}"
