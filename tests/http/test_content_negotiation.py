"""Choosing a media type by the Accept header."""

from __future__ import annotations

import pytest

from service.http.content_negotiation import best_match

NDJSON, CSV, JSON = OFFERS = ("application/x-ndjson", "text/csv", "application/json")

PREFERRED = {
    "": NDJSON,
    "*/*": NDJSON,
    "*": NDJSON,
    "application/x-ndjson": NDJSON,
    "text/csv": CSV,
    "TEXT/CSV; charset=utf-8": CSV,
    "application/json": JSON,
    "application/*": NDJSON,
    "text/*": CSV,
    # An exact match precedes a wildcard
    "application/json, text/plain, */*": JSON,
    "text/*, application/json": JSON,
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": NDJSON,
    # Weights
    "text/csv;q=0.5, application/json;q=0.9": JSON,
    "text/csv; q=1.0, application/json; q=0.999": CSV,
    "application/json;q=0.5, */*": NDJSON,
    "*/*;q=0.1, text/csv;q=0.2": CSV,
    "application/x-ndjson;q=0, */*": CSV,
    "application/*;q=0, */*;q=0.1": CSV,
    "text/csv;version=1;q=0.2, application/json;q=0.1": CSV,
    # Of several matches, the one of the greatest weight
    "text/csv;q=0, text/csv": CSV,
    # Invalid parts are ignored
    "text/csv;q=nan, application/json;q=0.9": CSV,
    ",, ;q=1, text/csv": CSV,
}


@pytest.mark.parametrize("accept", PREFERRED)
def test_the_preferred_media_type_is_chosen(accept: str) -> None:
    assert best_match(accept, OFFERS) == PREFERRED[accept]


@pytest.mark.parametrize(
    "accept",
    ["text/html", "application/xml, image/*", "text/csv;q=0", "*/*;q=0", "text", "application/"],
)
def test_without_an_acceptable_media_type_there_is_none(accept: str) -> None:
    assert best_match(accept, OFFERS) is None
