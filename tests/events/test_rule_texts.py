"""Whom a rule writes to, and what strangers cannot make it say."""

from __future__ import annotations

from typing import Any

import pytest

from service.events.rules import RuleSet
from service.instagram.no_answers import fold
from tests.events.test_rules import PAID, only_draft, plan, rule, stripe_event

CUSTOM = "{{ object.custom_fields | field('instagram') }}"


def typed(value: str) -> Any:
    """An event whose customer typed a value for their username."""
    field = {"key": "instagram", "type": "text", "text": {"value": value}}
    return stripe_event(PAID, custom_fields=[field], metadata={"instagram": value})


@pytest.mark.parametrize(
    "to", [CUSTOM, f"@{CUSTOM}", f"https://instagram.com/{CUSTOM}", f"instagram.com/{CUSTOM}/"]
)
@pytest.mark.parametrize("value", ["na", "None", "-", "x", "instagram", "612.345.678", "shop.com"])
def test_an_answer_that_is_no_username_rejects_the_job(to: str, value: str) -> None:
    draft = only_draft(typed(value), to=to)

    assert draft.failure is not None
    assert draft.failure.code == "invalid_recipient"
    assert draft.failure.message.startswith("to: ")
    assert value not in draft.failure.message.replace("none", "").replace("ask the", "")[:40]


@pytest.mark.parametrize("to", [CUSTOM, f"@{CUSTOM}", f"https://instagram.com/{CUSTOM}"])
def test_a_username_is_one_however_the_rule_embeds_it(to: str) -> None:
    assert only_draft(typed("some.handle"), to=to).to == "some.handle"


def test_a_customer_who_means_na_writes_an_at_sign() -> None:
    assert only_draft(typed("@na"), to=CUSTOM).to == "na"


def test_a_recipient_of_several_fields_may_have_short_ones() -> None:
    event = stripe_event(PAID, metadata={"a": "j", "b": "rosen"})

    assert only_draft(event, to="{{ object.metadata.a }}.{{ object.metadata.b }}").to == "j.rosen"


def test_the_file_adds_answers() -> None:
    rules = RuleSet([rule()], frozenset({fold("Gast")}))

    (draft,) = rules.plan("stripe", typed("gast")).drafts

    assert draft.failure is not None
    assert "an answer such as 'none'" in draft.failure.message


@pytest.mark.parametrize("name", ["evil.com", "Jenny @evil", "https://evil.com"])
@pytest.mark.parametrize("action", ["dm", "comment"])
def test_a_link_in_a_name_rejects_the_job_and_says_which_field(name: str, action: str) -> None:
    target = {"to": None, "post": "CxyZ_-1"} if action == "comment" else {}
    event = stripe_event(PAID, customer_details={"name": name})

    draft = only_draft(event, action=action, **target)

    assert draft.failure is not None
    assert draft.failure.code == "link_not_allowed"
    assert draft.failure.message.startswith("text: object.customer_details.name has a link")
    assert "evil" not in draft.failure.message
    assert draft.once_key is None


def test_a_rule_removes_or_allows_links() -> None:
    event = stripe_event(PAID, customer_details={"name": "Jenny\u202e @evil"})

    plain = only_draft(event, text="Hi {{ object.customer_details.name | plain }}!")
    allowed = only_draft(event, text="Hi {{ object.customer_details.name | allow_links }}!")

    assert (plain.text, allowed.text) == ("Hi Jenny!", "Hi Jenny @evil!")


def test_the_providers_url_is_sent() -> None:
    url = "https://pay.stripe.example/receipts/1"
    event = stripe_event(PAID, receipt_url=url, metadata={"receipt_url": url + "/other"})

    assert only_draft(event, text="{{ object.receipt_url }}").text == url
    assert only_draft(event, text="{{ object.metadata.receipt_url }}").failure is not None


def test_keys_and_posts_lose_invisible_characters_and_may_have_links() -> None:
    event = stripe_event(
        PAID, metadata={"key": "https://a.example/\u200b1", "post": "Cxy\u2060Z_-1"}
    )

    draft = only_draft(
        event,
        action="comment",
        to=None,
        post="{{ object.metadata.post }}",
        once_per="{{ object.metadata.key }}",
    )

    assert (draft.post, draft.once_key) == ("CxyZ_-1", "https://a.example/1")


@pytest.mark.parametrize(
    ("field", "source"),
    [
        ("to", "{{ object.id | truncate(-1) }}"),
        ("text", "{{ object.id | truncate(-1) }}"),
        ("text", "{{ object.id | truncate(none) }}"),
        ("once_per", "{{ object.id | round }}"),
        ("delay", "{{ 1 // 0 }}h"),
        ("expires", "{{ 10 ** 10 ** 8 }}h"),
        ("text", "{% for a in range(10 ** 9) %}x{% endfor %}"),
    ],
)
def test_whatever_goes_wrong_rejects_the_job_of_this_rule_only(field: str, source: str) -> None:
    broken, sound = rule(name="broken", **{field: source}), rule(name="sound")

    failed, made = plan(stripe_event(PAID), broken, sound).drafts

    assert failed.failure is not None
    assert failed.failure.code == "template_failed"
    assert failed.failure.message.startswith(f"{field}: ")
    assert failed.rule == "broken"
    assert made.failure is None


def test_whatever_goes_wrong_in_a_condition_creates_no_job_of_this_rule() -> None:
    broken, sound = rule(name="broken", when="object.id | truncate(-1)"), rule(name="sound")

    made = plan(stripe_event(PAID), broken, sound)

    assert [draft.rule for draft in made.drafts] == ["sound"]
    assert [result.outcome for result in made.results] == ["when_error", "matched"]
    assert made.results[0].message == (
        "when: truncate: the value or its arguments do not fit (AssertionError)"
    )
