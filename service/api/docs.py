"""The documentation: the OpenAPI document, and pages that show it.

A policy lets the pages load what they need and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import HTMLResponse, JSONResponse

router = APIRouter(include_in_schema=False)

_OPENAPI_URL: Final = "/openapi.json"
_TITLE: Final = "Heliograph"
_INLINE_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


@router.get(_OPENAPI_URL)
async def show_openapi(request: Request) -> JSONResponse:
    """The OpenAPI document, which FastAPI builds once."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
async def show_swagger_ui() -> HTMLResponse:
    """The API's documentation, from which requests can be sent."""
    return _with_policy(get_swagger_ui_html(openapi_url=_OPENAPI_URL, title=_TITLE))


@router.get("/redoc")
async def show_redoc() -> HTMLResponse:
    """The API's documentation, to read."""
    page = get_redoc_html(openapi_url=_OPENAPI_URL, title=_TITLE, with_google_fonts=False)
    return _with_policy(page)


def _with_policy(page: HTMLResponse) -> HTMLResponse:
    scripts = _INLINE_SCRIPT.findall(bytes(page.body).decode())
    hashes = (base64.b64encode(hashlib.sha256(each.encode()).digest()) for each in scripts)
    sources = " ".join(["https://cdn.jsdelivr.net", *(f"'sha256-{h.decode()}'" for h in hashes)])
    page.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src {sources};"
        # Both pages write their styles themselves.
        " style-src https://cdn.jsdelivr.net 'unsafe-inline';"
        " img-src 'self' https://fastapi.tiangolo.com https://cdn.redoc.ly data:;"
        " connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    )
    return page
