"""The documentation: the OpenAPI document, and Swagger UI, which shows it.

The page needs no network but this service, and its policy allows no other: its scripts and styles
are files of this package (swagger_ui/README.md).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from service.http.errors import ApiError

router = APIRouter(include_in_schema=False)

_MEDIA_TYPES: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "start.js": "text/javascript",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Heliograph</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/start.js"></script>
</body>
</html>
"""
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/openapi.json")
async def show_openapi(request: Request) -> JSONResponse:
    """The OpenAPI document, which is made once."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
async def show_docs() -> HTMLResponse:
    """The API's documentation, from which requests can be sent."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/assets/{name}")
async def show_docs_asset(name: str) -> Response:
    """A script or style of the page."""
    if name not in _MEDIA_TYPES:
        raise ApiError(404, "not_found", "The documentation has no such file.")
    headers = {"Cache-Control": "public, max-age=3600"}
    return Response(_asset(name), media_type=_MEDIA_TYPES[name], headers=headers)


@router.get("/redoc")
async def redirect_to_docs() -> Response:
    """Where earlier releases had a second page."""
    return RedirectResponse("/docs", 308)


@cache
def _asset(name: str) -> bytes:
    return files(__package__).joinpath("swagger_ui", name).read_bytes()
