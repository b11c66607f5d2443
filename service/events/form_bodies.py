"""Bodies that are forms: GitHub's default content type, Slack's interactions and commands.

GitHub and Slack's interactions send one field, `payload`, with the JSON document; a slash command
of Slack is the fields themselves. The MAC is over the form as received.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from service.events.strict_json import InvalidEvent, decode
from service.signatures.schemes import Headers

FORM_SCHEMES: Final = frozenset({"github", "slack"})
MAX_FIELDS: Final = 100

_FORM_TYPE: Final = b"x-www-form-urlencoded"
_SPACES: Final = b" \t\r\n"
_TELLING_FIELD: Final = re.compile(rb"(?:^|&)(?:payload|command)=")


class Body(NamedTuple):
    """A decoded body.

    Parameters:
      document: The JSON object, or the fields of a form.
      content: The bytes of the document: the body, or the form's payload.
      is_form: Whether it came as a form.
    """

    document: dict[str, Any]
    content: bytes
    is_form: bool


def read_body(scheme: str, body: bytes, headers: Headers | None) -> Body:
    """Decode a body as JSON or, for the schemes that send forms, as a form.

    Nobody signs the content type, so the body itself decides where it can: a form does not begin
    with a bracket, and has a payload or a command.

    Parameters:
      scheme: One of `signatures.verify.SCHEMES`.
      body: The raw bytes.
      headers: Raw pairs, names in lower case; None for a stored body, which has been read before.

    Raises:
      InvalidEvent: The body, or the payload of the form, is not strict JSON; or it is not a form.
    """
    if scheme not in FORM_SCHEMES or not _is_form(body, headers):
        return Body(decode(body), body, is_form=False)
    fields = _read_fields(body)
    payload = fields.get("payload")
    if payload is not None:
        return Body(decode(payload.encode()), payload.encode(), is_form=True)
    if scheme != "slack":
        raise InvalidEvent("not_form")
    return Body(fields, body, is_form=True)


def _is_form(body: bytes, headers: Headers | None) -> bool:
    if body.lstrip(_SPACES)[:1] in (b"{", b"["):
        return False
    if headers is None or _TELLING_FIELD.search(body):
        return True
    return any(name == b"content-type" and _FORM_TYPE in value.lower() for name, value in headers)


def _read_fields(body: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except UnicodeDecodeError:
        raise InvalidEvent("not_utf8") from None
    except ValueError:
        raise InvalidEvent("not_form") from None
    fields: dict[str, Any] = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidEvent("duplicate_key")
    return fields
