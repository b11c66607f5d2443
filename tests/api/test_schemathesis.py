"""Requests that schemathesis makes of the document: no fault, no answer that it does not announce."""

from __future__ import annotations

from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
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
_OPERATIONS: Final = {
    operation.label: operation
    for found in schemathesis.openapi.from_dict(document()).get_all_operations()
    for operation in [found.ok()]
}
#: Requests of an operation, valid ones and others: all of them take half a minute.
_EXAMPLES: Final = 12
_SETTINGS: Final = settings(
    max_examples=_EXAMPLES,
    derandomize=True,  # a request that fails here fails everywhere
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", _OPERATIONS)
def test_every_answer_is_announced(web: WebHarness, name: str, mode: GenerationMode) -> None:
    operation = _OPERATIONS[name]

    @_SETTINGS
    @given(case=operation.as_strategy(mode))
    def check(case: schemathesis.Case) -> None:
        if "wait" in {each.name for each in operation.query}:
            case.query = {**(case.query or {}), "wait": 0}  # nobody works here
        headers = {"Authorization": f"Bearer {API_KEY}"} if "/webhooks" not in name else {}
        response = case.call(base_url=str(web.http.base_url), headers=headers, timeout=2)
        case.validate_response(response, checks=_CHECKS)

    check()
