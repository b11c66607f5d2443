"""Callback endpoints, resolved from the configuration and the environment."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from service.deliveries.endpoints import CallbackEndpoints

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Variable:
    """A reference to an environment variable."""

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


def test_an_endpoints_repr_hides_its_secrets_and_path() -> None:
    environ = {"CALLBACK_URL": "https://crm.example/T0KEN?k=v", "CALLBACK_SECRET": SECRET}

    text = repr(CallbackEndpoints({"crm": CRM}).resolve(environ))

    assert "crm.example" in text
    assert "T0KEN" not in text
    assert "whsec_" not in text


@pytest.mark.parametrize(
    ("url", "secret", "field"),
    [
        ("https://user:T0KEN@crm.example/", SECRET, "callbacks.crm.url"),
        ("http://crm.example/T0KEN", SECRET, "callbacks.crm.url"),
        ("https://crm.example/", "whsec_T0KEN", r"callbacks.crm.secrets\[0\]"),
    ],
)
def test_an_error_names_the_field_and_not_the_value(url: str, secret: str, field: str) -> None:
    with pytest.raises(ValueError, match=field) as raised:
        CallbackEndpoints({"crm": CRM}).resolve({"CALLBACK_URL": url, "CALLBACK_SECRET": secret})

    assert "T0KEN" not in str(raised.value)


@pytest.mark.parametrize("key", [b"k" * 32, b"changeme" * 4, b"abc" * 10, bytes(range(32))])
def test_a_secret_that_is_easy_to_guess_is_refused(key: bytes) -> None:
    secret = f"whsec_{b64encode(key).decode()}"
    environ = {"CALLBACK_URL": "https://crm.example/", "CALLBACK_SECRET": secret}

    with pytest.raises(ValueError, match=r"callbacks\.crm\.secrets\[0\].* easy to guess") as raised:
        CallbackEndpoints({"crm": CRM}).resolve(environ)

    assert secret not in str(raised.value)


def test_a_callback_without_secrets_is_rejected() -> None:
    unsigned = Callback(url=CRM.url, secrets=[])

    with pytest.raises(ValueError, match=r"callbacks\.crm\.secrets"):
        CallbackEndpoints({"crm": unsigned}).resolve({"CALLBACK_URL": "https://crm.example"})


def test_plain_http_endpoints_are_accepted_if_allowed() -> None:
    environ = {"CALLBACK_URL": "http://crm.internal/hook", "CALLBACK_SECRET": SECRET}

    endpoints = CallbackEndpoints({"crm": CRM}, allow_http=True).resolve(environ)

    assert endpoints["crm"].origin == "http://crm.internal"
