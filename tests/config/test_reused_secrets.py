"""One value for two purposes is refused; senders and receivers that share one are not."""

from __future__ import annotations

import pytest

from service.config.config import parse_config
from service.config.reused_secrets import reused_secrets

KEY = "d1f0a9c27b3e48569c8d7e6f5a4b3c21"
CONFIG = """
[sources.stripe]
scheme = "stripe"
secrets = ["env:STRIPE", "env:STRIPE_NEXT"]

[sources.slack]
scheme = "slack"
secrets = ["env:SLACK"]

[accounts.shop]
username = "shop"
password = "env:SHOP"

[accounts.club]
username = "club"
password = "env:CLUB"

[callbacks.crm]
url = "https://crm.example/"
secrets = ["env:CRM"]

[callbacks.books]
url = "https://books.example/"
secrets = ["env:BOOKS"]
"""
OWN = {"SECRET_KEY": f"first-{KEY},{KEY}", "API_KEYS": f"ann:{KEY}", "METRICS_KEY": KEY}


def places(*names: str) -> list[str]:
    """What is said when these variables, and no others, have one value."""
    environ = {name: OWN.get(name, KEY) for name in names}
    return list(reused_secrets(parse_config(CONFIG), environ))


@pytest.mark.parametrize(
    ("names", "second", "first"),
    [
        (("SECRET_KEY", "API_KEYS"), "API_KEYS", "SECRET_KEY"),
        (("API_KEYS", "METRICS_KEY"), "METRICS_KEY", "API_KEYS"),
        (("SECRET_KEY", "METRICS_KEY"), "METRICS_KEY", "SECRET_KEY"),
        (("API_KEYS", "STRIPE_NEXT"), "sources.stripe.secrets[1]", "API_KEYS"),
        (("SECRET_KEY", "CRM"), "callbacks.crm.secrets[0]", "SECRET_KEY"),
        (("SLACK", "CRM"), "callbacks.crm.secrets[0]", "sources.slack.secrets[0]"),
        (("API_KEYS", "CLUB"), "accounts.club.password", "API_KEYS"),
        (("STRIPE", "STRIPE_NEXT"), "sources.stripe.secrets[1]", "sources.stripe.secrets[0]"),
    ],
)
def test_a_value_for_two_purposes_is_named_at_both_places(
    names: tuple[str, ...], second: str, first: str
) -> None:
    (problem,) = places(*names)
    assert problem.startswith(f"{second} has the value of {first}: ")
    assert "openssl rand -hex 32" in problem
    assert KEY not in problem


@pytest.mark.parametrize("names", [("STRIPE", "SLACK"), ("CRM", "BOOKS"), ("SHOP", "CLUB"), ()])
def test_what_one_sender_or_receiver_shares_is_accepted(names: tuple[str, ...]) -> None:
    assert places(*names) == []
