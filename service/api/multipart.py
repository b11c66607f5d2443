"""A job with a photo: multipart/form-data with one part `job` (JSON) and one part `photo`.

The parts are parsed while they stream in. The photo goes to an unnamed file on disk, never as a
whole into memory, and reading stops one byte above the limit.

Starlette's `request.form()` is not used: it has no limit on the size of a file, reads unknown parts
to the end, and drops the last part of an incomplete form without an error.
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
from service.http.request_body import BodyRejected, check_encoding, declared_too_large, time_limit
from service.photos.photo import MAX_PHOTO_BYTES, PhotoRefused
from service.photos.spooled_file import SpooledFile

_PARTS: Final = ("job", "photo")
#: The photo, the job, and the overhead of the form.
_MAX_FORM_BYTES: Final = MAX_PHOTO_BYTES + MAX_API_BODY + 4096

#: For the documentation, beside the JSON body.
UPLOAD_SCHEMA: Final[dict[str, Any]] = {
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": list(_PARTS),
                    "properties": {
                        "job": {"$ref": "#/components/schemas/JobRequest"},
                        "photo": {
                            "type": "string",
                            "format": "binary",
                            "description": "JPEG, PNG or WebP, at most 8 MiB",
                        },
                    },
                },
                "encoding": {"job": {"contentType": "application/json"}},
            }
        }
    }
}


class JobUpload:
    """Receives a job and its photo.

    Parameters:
      photo: The file to write the photo to.
    """

    def __init__(self, photo: SpooledFile) -> None:
        self._photo = photo
        self._job = bytearray()
        self._parts: list[str] = []
        self._header = self._disposition = b""
        self._complete = False

    async def read(self, request: Request, seconds: float) -> None:
        """Read the whole form.

        Parameters:
          request: The request; nothing of its body has been read yet.
          seconds: How long the sender may take.

        Raises:
          BodyRejected: The form is too large, too slow or malformed, or has other parts.
          starlette.requests.ClientDisconnect: The sender disconnected.
        """
        check_encoding(request.scope)
        try:
            if declared_too_large(request.scope, _MAX_FORM_BYTES):
                raise PhotoRefused("photo_too_large")
            async with time_limit(seconds):
                await self._parse(request)
        except PhotoRefused as error:
            raise BodyRejected(413, error.code, f"photo: {error.message}.") from None
        except FormParserError:
            raise _invalid_form("The body is not valid multipart/form-data.") from None

    def job(self) -> JobRequest:
        """Parse the part `job`.

        Raises:
          ApiError: 400, it is not JSON; 422, a part is missing, or `job` is not an object.
          RequestValidationError: 422, a field is invalid.
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
            await self._photo.flush()
        if not self._complete:
            raise _invalid_form("The form is incomplete: its last boundary is missing.")
        await self._photo.finish()

    def _parser(self, content_type: str) -> MultipartParser:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise _invalid_form("The Content-Type has no boundary: let your HTTP client set it.")
        return MultipartParser(
            boundary,
            {
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_end": self._on_end,
            },
        )

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition += data[start:end]

    def _on_header_end(self) -> None:
        self._header = b""

    def _on_headers_finished(self) -> None:
        options = parse_options_header(self._disposition)[1]
        name = options.get(b"name", b"").decode("latin-1")
        if name not in _PARTS or name in self._parts:
            message = "The form must have one part `job` (JSON), one part `photo` and no others."
            raise BodyRejected(422, "invalid_request", message)
        self._parts.append(name)
        self._disposition = b""

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._parts[-1] == "photo":
            self._photo.write(data[start:end])
            return
        self._job += data[start:end]
        if len(self._job) > MAX_API_BODY:
            message = f"job: must be at most {MAX_API_BODY} bytes."
            raise BodyRejected(413, "body_too_large", message)

    def _on_end(self) -> None:
        self._complete = True


def _invalid_form(message: str) -> BodyRejected:
    return BodyRejected(400, "invalid_form", message)
