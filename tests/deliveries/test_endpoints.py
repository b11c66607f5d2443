"""Callback endpoints, resolved from the configuration and the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from service.deliveries.endpoints import CallbackEndpoints

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Variable:
    """A value that lives in the environment."""

    name: str

    def resolve(self, environ: Mapping[str, str]) -> str:
        return environ[self.name]


@dataclass(frozen=True)
class Callback:
    url: Variable
    secrets: Sequence[Variable]


CRM = Callback(url=Variable("CALLBACK_URL"), secrets=[Variable("CALLBACK_SECRET")])


def test_endpoints_are_resolved_from_the_environment() -> None:
    environ = {"CALLBACK_URL": "https://crm.example/hook?k=v", "CALLBACK_SECRET": SECRET}

    endpoint = CallbackEndpoints({"crm": CRM}).resolve(environ)["crm"]

    assert endpoint.name == "crm"
    assert endpoint.url == "https://crm.example/hook?k=v"
    assert endpoint.origin == "https://crm.example"
    assert endpoint.secrets == (SECRET,)


def test_the_names_are_known_without_the_environment() -> None:
    assert CallbackEndpoints({"crm": CRM}).names == {"crm"}


def test_an_endpoint_shows_neither_its_secrets_nor_its_path() -> None:
    environ = {"CALLBACK_URL": "https://crm.example/T0KEN?k=v", "CALLBACK_SECRET": SECRET}

    shown = repr(CallbackEndpoints({"crm": CRM}).resolve(environ))

    assert "crm.example" in shown
    assert "T0KEN" not in shown
    assert "whsec_" not in shown


@pytest.mark.parametrize(
    ("url", "secret", "field"),
    [
        ("https://user:T0KEN@crm.example/", SECRET, "callbacks.crm.url"),
        ("http://crm.example/T0KEN", SECRET, "callbacks.crm.url"),
        ("https://crm.example/", "whsec_T0KEN", r"callbacks.crm.secrets\[0\]"),
    ],
)
def test_an_unusable_value_is_named_by_its_field_and_not_repeated(
    url: str, secret: str, field: str
) -> None:
    with pytest.raises(ValueError, match=field) as refusal:
        CallbackEndpoints({"crm": CRM}).resolve({"CALLBACK_URL": url, "CALLBACK_SECRET": secret})

    assert "T0KEN" not in str(refusal.value)


def test_a_callback_without_secrets_is_refused() -> None:
    unsigned = Callback(url=CRM.url, secrets=[])

    with pytest.raises(ValueError, match=r"callbacks\.crm\.secrets"):
        CallbackEndpoints({"crm": unsigned}).resolve({"CALLBACK_URL": "https://crm.example"})


def test_plain_http_endpoints_are_taken_where_they_are_allowed() -> None:
    environ = {"CALLBACK_URL": "http://crm.internal/hook", "CALLBACK_SECRET": SECRET}

    endpoints = CallbackEndpoints({"crm": CRM}, allow_http=True).resolve(environ)

    assert endpoints["crm"].origin == "http://crm.internal"
