"""A job with a file: multipart/form-data with one part `job` (JSON) and one part `photo`.

The parts are parsed as they stream in. The photo goes to a nameless file on disk and is never in
memory as a whole; one byte more than the cap ends the reading.
"""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from service.api.schemas import JobRequest, invalid
from service.http.body_limit import MAX_API_BODY
from service.http.errors import ApiError
from service.http.request_body import BodyRejected, check_encoding, declares_more, in_time
from service.photos.photo import MAX_PHOTO_BYTES, PhotoRefused
from service.photos.spooled_file import SpooledFile

_PARTS: Final = ("job", "photo")
#: The photo, the job, and what the form itself takes.
_MAX_FORM_BYTES: Final = MAX_PHOTO_BYTES + MAX_API_BODY + 4096

#: How the documentation shows it, beside the JSON body.
UPLOAD_SCHEMA: Final[dict[str, Any]] = {
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": list(_PARTS),
                    "properties": {
                        "job": {"type": "string", "description": "The JSON body, as text"},
                        "photo": {
                            "type": "string",
                            "format": "binary",
                            "description": "JPEG, PNG or WebP, at most 8 MiB",
                        },
                    },
                }
            }
        }
    }
}


class JobUpload:
    """A job and its photo, while they come in.

    Parameters:
      incoming: Where the photo goes.
    """

    def __init__(self, incoming: SpooledFile) -> None:
        self._incoming = incoming
        self._job = bytearray()
        self._parts: list[str] = []
        self._header = self._disposition = b""
        self._whole = False

    async def read(self, request: Request, seconds: float) -> None:
        """Read the whole form.

        Parameters:
          request: The request; nothing of its body was read yet.
          seconds: How long the sender may take.

        Raises:
          BodyRefused: It is too large, too slow, or no form of ours.
          starlette.requests.ClientDisconnect: The sender went away.
        """
        check_encoding(request.scope)
        try:
            if declares_more(request.scope, _MAX_FORM_BYTES):
                raise PhotoRefused("photo_too_large")
            async with in_time(seconds):
                await self._parse(request)
        except PhotoRefused as refused:
            raise BodyRejected(413, refused.code, f"photo: {refused.message}.") from None
        except FormParserError:
            raise _no_form("The body is not the multipart/form-data it says it is.") from None

    def job(self) -> JobRequest:
        """What the part `job` asks for.

        Raises:
          ApiError: 400, it is not JSON; 422, a part is missing, or no object.
          RequestValidationError: 422, something in it is wrong.
        """
        for name in _PARTS:
            if name not in self._parts:
                raise invalid(name, "is missing: the form needs a part of this name")
        try:
            document = json.loads(self._job)
        except (ValueError, RecursionError):
            raise ApiError(400, "invalid_json", "job: is not valid JSON.") from None
        if not isinstance(document, dict):
            raise invalid("job", "must be a JSON object")
        try:
            return JobRequest.model_validate(document)
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from None

    async def _parse(self, request: Request) -> None:
        parser = self._parser(request.headers["content-type"])
        async for chunk in request.stream():
            parser.write(chunk)
            await self._incoming.flush()
        if not self._whole:
            raise _no_form("The form breaks off: its last boundary is missing.")
        await self._incoming.finish()

    def _parser(self, content_type: str) -> MultipartParser:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise _no_form("The Content-Type names no boundary: leave it to your HTTP client.")
        return MultipartParser(
            boundary,
            {
                "on_header_field": self._take_header,
                "on_header_value": self._take_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_part,
                "on_part_data": self._take,
                "on_end": self._end,
            },
        )

    def _take_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition += data[start:end]

    def _end_header(self) -> None:
        self._header = b""

    def _begin_part(self) -> None:
        options = parse_options_header(self._disposition)[1]
        name = options.get(b"name", b"").decode("latin-1")
        if name not in _PARTS or name in self._parts:
            message = "The form must have one part `job` (JSON), one part `photo`, and no other."
            raise BodyRejected(422, "invalid_request", message)
        self._parts.append(name)
        self._disposition = b""

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._parts[-1] == "photo":
            self._incoming.write(data[start:end])
            return
        self._job += data[start:end]
        if len(self._job) > MAX_API_BODY:
            message = f"job: must be at most {MAX_API_BODY} bytes."
            raise BodyRejected(413, "body_too_large", message)

    def _end(self) -> None:
        self._whole = True


def _no_form(message: str) -> BodyRejected:
    return BodyRejected(400, "invalid_form", message)
