"""The documentation's page: all that it loads is of this service, and unchanged."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

import pytest

from tests.support.web import WebHarness

VENDORED = files("service.api").joinpath("swagger_ui")
SUMS = [line.split() for line in VENDORED.joinpath("SHA256SUMS").read_text().splitlines()]


def test_everything_that_the_page_loads_is_served_here(web: WebHarness) -> None:
    page = web.http.get("/docs").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) == 3
    for path in loaded:
        asset = web.http.get(path)
        assert asset.status_code == 200, path
        assert asset.headers["Content-Type"].split(";")[0] in ("text/javascript", "text/css")


def test_the_policy_allows_nothing_inline_and_no_other_host(web: WebHarness) -> None:
    response = web.http.get("/docs")
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert re.findall(r"<script(?![^>]*src=)|<style|style=|onload", response.text) == []


@pytest.mark.parametrize(("digest", "name"), SUMS)
def test_a_vendored_file_is_the_one_that_was_released(
    web: WebHarness, digest: str, name: str
) -> None:
    served = web.http.get(f"/docs/assets/{name}").content
    assert hashlib.sha256(served).hexdigest() == digest


@pytest.mark.parametrize("name", ["LICENSE", "SHA256SUMS", "..%2fdocs.py", "nope.js"])
def test_no_other_file_is_served(web: WebHarness, name: str) -> None:
    assert web.http.get(f"/docs/assets/{name}").status_code in (400, 404)


def test_the_page_of_earlier_releases_leads_to_this_one(web: WebHarness) -> None:
    assert web.http.get("/redoc").headers["Location"] == "/docs"
