"""What a refusal is, and the shapes that Instagram gives one.

The same words come in several shapes: as a plain failure, inside the acknowledgement of a message,
or with status 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from deploy.local.instagram.http import Reply

#: How a refused write is answered: `plain` is a status of 4xx, `item_ack` the same inside the
#: acknowledgement of a message (instagrapi issue 1240), the other two have status 200.
RefusalShape = Literal["plain", "item_ack", "ok_status", "item_ack_ok_status"]
SHAPES: Final[tuple[RefusalShape, ...]] = ("plain", "item_ack", "ok_status", "item_ack_ok_status")


@dataclass(frozen=True)
class Refusal:
    """A named refusal.

    Parameters:
        reply: the reply sent to the client.
        call: a call it is typical of.
        raises: the name of the exception that the unmodified client raises from that call.
    """

    reply: Reply
    call: str
    raises: str


def fail(status: int, message: str | None = None, **fields: Any) -> Reply:
    """A failure in Instagram's JSON."""
    body = {"status": "fail", **fields}
    return Reply(status, body if message is None else {"message": message, **body})


def feedback(title: str, message: str, **fields: Any) -> Reply:
    """A `feedback_required`; `fields` say what it is about."""
    return fail(
        400,
        "feedback_required",
        feedback_title=title,
        feedback_message=message,
        feedback_ignore_label="OK",
        **fields,
    )


def item_ack(status: int, message: str, *, http_status: int | None = None) -> Reply:
    """The acknowledgement of a message that was refused (instagrapi issue 1240).

    Parameters:
        status: its `status_code`.
        message: the words in its payload.
        http_status: the HTTP status, if another one.
    """
    return Reply(http_status or status, _item_ack_body(status, {"message": message}))


def challenge(path: str, **fields: Any) -> Mapping[str, Any]:
    """The `challenge` of a `challenge_required` (Osintgram issue 1048)."""
    return {
        "url": f"https://i.instagram.com{path}",
        "api_path": path,
        "hide_webview_header": True,
        "lock": True,
        "logout": False,
        **fields,
    }


def in_shape(reply: Reply, shape: RefusalShape) -> Reply:
    """Give a failure in Instagram's JSON another shape; the words and fields stay."""
    if shape == "plain" or reply.content is not None:
        return reply
    status = 200 if shape.endswith("ok_status") else reply.status
    if shape == "ok_status":
        return Reply(status, reply.body, reply.headers)
    fields = {name: value for name, value in reply.body.items() if name != "status"}
    return Reply(status, _item_ack_body(reply.status, fields), reply.headers)


def _item_ack_body(status: int, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "action": "item_ack",
        "status_code": str(status),
        "payload": {"client_context": "", **payload},
        "status": "fail",
    }
