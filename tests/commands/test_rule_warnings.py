"""Warnings about rules that some events of their sender do not fit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.commands.nullable_keys import NullableKey, find_nullable_keys
from service.commands.rule_warnings import rule_warnings
from service.config.config import load_config, parse_config

ROOT = Path(__file__).parents[2]

_RULE = """
[sources.shop]
scheme = "{scheme}"
secrets = ["a secret"]
[accounts.shop]
username = "shop"
password = "hunter2"
[[rules]]
name = "thanks"
source = "shop"
event = {event}
action = "dm"
account = "shop"
to = "some.handle"
text = "Thanks"
{more}
"""


def warnings(scheme: str, event: str = '"*"', more: str = "") -> list[str]:
    return list(rule_warnings(parse_config(_RULE.format(scheme=scheme, event=event, more=more))))


@pytest.mark.parametrize("scheme", ["github", "shopify"])
def test_a_rule_needs_once_per_where_only_the_body_is_signed(scheme: str) -> None:
    (warning,) = warnings(scheme)
    assert warning.startswith(f"rules.thanks.once_per: is missing; {scheme} signs only the body")
    assert warnings(scheme, more='once_per = "{{ object.id }}"') == []


@pytest.mark.parametrize("scheme", ["standard-webhooks", "paddle", "slack"])
def test_a_rule_does_not_need_it_where_the_id_is_signed(scheme: str) -> None:
    assert warnings(scheme) == []


@pytest.mark.parametrize(
    ("template", "paths"),
    [
        ("{{ object.payment_intent }}", ["payment_intent"]),
        ("{{ object['payment_intent'] }}", ["payment_intent"]),
        ("{{ event.data.object.payment_intent }}", ["payment_intent"]),
        ("{{ object.payment_intent | upper }} {{ object.invoice }}", ["invoice", "payment_intent"]),
        ("{{ object.customer_details.name.split(' ')[0] }}", ["customer_details.name"]),
        ("{{ object.id or object.payment_intent }}", ["payment_intent"]),
        ("{{ object.payment_intent or object.id }}", []),
        ("{{ object.payment_intent | default(object.id) }}", []),
        ("{{ object.payment_intent | default(object.invoice) }}", ["invoice"]),
        ("{{ object.id if object.payment_intent is none else object.payment_intent }}", []),
        ("{% if object.payment_intent %}{{ object.payment_intent }}{% endif %}", []),
        ("{% if object.id %}{{ object.payment_intent }}{% endif %}", ["payment_intent"]),
        ("{{ object.payment_intent == 'pi_1' }}", []),
        ("{{ object.payment_intent and object.payment_intent }}", ["payment_intent"]),
        ("{{ object.payment_intent.strip() or object.id }}", ["payment_intent"]),
        ("{% if object.invoice.id %}x{% endif %}", ["invoice"]),
        ("{{ object.id }} {{ payment_intent }} {{ object[object.id] }}", []),
        ("Thanks", []),
    ],
)
def test_keys_that_may_be_null_are_found_where_nothing_covers_them(
    template: str, paths: list[str]
) -> None:
    found = find_nullable_keys("checkout.session.completed".__eq__, template)
    assert [key.path for key in found] == paths


@pytest.mark.parametrize(
    ("condition", "paths"),
    [
        ("object.payment_intent.startswith('pi_')", ["payment_intent"]),
        ("not object.customer_email.endswith('@shop.example')", ["customer_email"]),
        ("'a' in object.customer_details.name", ["customer_details.name"]),
        ("object.mode == 'payment' and object.invoice.id == 'in_1'", ["invoice"]),
        ("object.customer_details.name | lower == 'anna'", ["customer_details.name"]),
        ("object.customer_email and object.customer_email.endswith('x')", []),
        ("not object.customer_email or object.customer_email.endswith('x')", []),
        ("(object.customer_email | default('', true)).endswith('x')", []),
        ("object.customer_details.name == 'Anna'", []),
        ("object.payment_intent in ['pi_1']", []),
        ("object.payment_intent is not none", []),
        ("object.payment_intent", []),
        ("object.amount_total >= 1000", []),
    ],
)
def test_a_condition_needs_the_keys_that_it_looks_into(condition: str, paths: list[str]) -> None:
    found = warnings("stripe", '"checkout.session.expired"', f'when = """{condition}"""')
    assert found == []
    found = warnings("stripe", '"checkout.session.completed"', f'when = """{condition}"""')
    assert [re.findall(r"when: object\.(\S+) is null", each)[0] for each in found] == paths


@pytest.mark.parametrize(
    ("event_type", "path"),
    [
        ("checkout.session.async_payment_succeeded", "subscription"),
        ("invoice.paid", "payment_intent"),
        ("charge.refunded", "billing_details.name"),
        ("payment_intent.succeeded", "customer"),
        ("customer.created", "name"),
    ],
)
def test_each_kind_of_object_has_its_own_keys(event_type: str, path: str) -> None:
    (found,) = find_nullable_keys(event_type.__eq__, f"{{{{ object.{path} }}}}")
    assert isinstance(found, NullableKey)
    assert found.path == path


@pytest.mark.parametrize(
    ("event", "more", "key"),
    [
        ('"checkout.session.completed"', 'once_per = "{{ object.payment_intent }}"', "once_per"),
        (
            '"checkout.*"',
            'once_per = ["{{ object.customer }}", "{{ object.invoice }}"]',
            "once_per",
        ),
        ('["a", "charge.*"]', 'delay = "{{ object.customer }}"', "delay"),
    ],
)
def test_a_template_that_needs_such_a_key_is_warned_of(event: str, more: str, key: str) -> None:
    (warning,) = warnings("stripe", event, more)
    assert warning.startswith(f"rules.thanks.{key}: object.")


@pytest.mark.parametrize(
    ("event", "more"),
    [
        ('"checkout.*"', 'once_per = ["{{ object.payment_intent }}", "{{ object.id }}"]'),
        ('"checkout.*"', 'once_per = ["{{ object.id }}", "{{ object.invoice }}"]'),
        ('"product.created"', 'once_per = "{{ object.payment_intent }}"'),
    ],
)
def test_a_rule_that_copes_is_not_warned_of(event: str, more: str) -> None:
    assert warnings("stripe", event, more) == []


@pytest.mark.parametrize(
    ("template", "shared"),
    [
        ("{{ object.payment_intent | default('none') }}", "none"),
        ("pi-{{ object.payment_intent | default('', true) }}", "pi-"),
        ("once", "once"),
        ("{{ object.payment_intent | default(object.id) }}", None),
        ("{{ object.payment_intent | default('') }}", None),
        ("{{ event.type }}-{{ object.id }}", None),
    ],
)
@pytest.mark.parametrize("scheme", ["stripe", "paddle"])
def test_a_business_key_that_events_share_by_default_is_warned_of(
    scheme: str, template: str, shared: str | None
) -> None:
    found = warnings(scheme, '"x"', f'once_per = ["""{template}""", "{{{{ object.id }}}}"]')
    assert [f"have the key {shared!r}" in each for each in found] == [True] * (shared is not None)


def test_a_rule_that_misses_delayed_payments_is_warned_of() -> None:
    paid = "when = \"object.payment_status == 'paid'\""
    (warning,) = warnings("stripe", '"checkout.session.completed"', paid)
    assert "checkout.session.async_payment_succeeded" in warning
    both = '["checkout.session.completed", "checkout.session.async_payment_succeeded"]'
    assert warnings("stripe", both, paid) == []
    assert warnings("stripe", '"checkout.session.completed"') == []


def test_our_own_examples_are_not_warned_of(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "heliograph.toml").write_text(example)
    for path in (tmp_path / "heliograph.toml", ROOT / "deploy/local/heliograph.toml"):
        assert list(rule_warnings(load_config(path))) == []
