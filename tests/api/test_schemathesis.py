"""Requests that schemathesis makes of the document: each gets an answer that is announced."""

from __future__ import annotations

from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import one_of
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.openapi import document
from tests.support.web import API_KEY, WebHarness

_CHECKS: Final[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_FOUND: Final[Any] = schemathesis.openapi.from_dict(document()).get_all_operations()
_OPERATIONS: Final = {operation.label: operation for operation in (each.ok() for each in _FOUND)}
#: It sends updates without an end; tests/api/test_live_all.py reads it.
_ENDLESS: Final = "GET /live"
#: Requests of an operation, valid and invalid ones: all of them take half a minute.
_EXAMPLES: Final = 16
_SETTINGS: Final = settings(
    max_examples=_EXAMPLES,
    derandomize=True,  # a request that fails here fails everywhere
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("name", sorted(_OPERATIONS.keys() - {_ENDLESS}))
def test_every_answer_is_announced(web: WebHarness, name: str) -> None:
    operation = _OPERATIONS[name]
    has_input = bool(list(operation.iter_parameters()) or operation.body)
    modes = GenerationMode if has_input else [GenerationMode.POSITIVE]

    @_SETTINGS
    @given(case=one_of(*(operation.as_strategy(mode) for mode in modes)))
    def check(case: schemathesis.Case[Any]) -> None:
        if "wait" in {each.name for each in operation.query}:
            case.query = {**(case.query or {}), "wait": 0}  # nobody works here
        headers = (
            {"Authorization": f"Bearer {API_KEY}"} if "security" in operation.definition.raw else {}
        )
        response = case.call(base_url=str(web.http.base_url), headers=headers, timeout=5)
        case.validate_response(response, checks=_CHECKS)

    check()
