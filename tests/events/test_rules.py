"""From events to job drafts, with events as Stripe publishes them."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.config.models import Rule
from service.events.rules import EventPlan, RuleResult, RuleSet, mismatch
from service.jobs.model import JobDraft

FIXTURES = Path(__file__).parents[1] / "fixtures" / "stripe"
PAID = "checkout.session.completed"

THANK_YOU: dict[str, Any] = {
    "name": "thank-you",
    "source": "stripe",
    "event": PAID,
    "when": "object.payment_status == 'paid'",
    "action": "dm",
    "account": "shop",
    "to": "{{ object.custom_fields | field('instagram') }}",
    "text": "Thank you, {{ object.customer_details.name }}!",
    "once_per": "{{ object.payment_intent }}",
    "delay": "5m",
    "expires": "2d",
    "callback": "crm",
}


@dataclass(frozen=True)
class Event:
    """The part of `service.events.parsing.ParsedEvent` that rules use."""

    type: str
    body: dict[str, Any]
    object: Any


def stripe_event(name: str, **changes: Any) -> Event:
    body = copy.deepcopy(json.loads((FIXTURES / f"{name}.json").read_bytes()))
    body["data"]["object"].update(changes)
    return Event(body["type"], body, body["data"]["object"])


def rule(**changes: Any) -> Rule:
    return Rule.model_validate(
        {key: value for key, value in {**THANK_YOU, **changes}.items() if value is not None}
    )


def plan(event: Event, *rules: Rule) -> EventPlan:
    return RuleSet(rules).plan("stripe", event)


def only_draft(event: Event, /, **changes: Any) -> JobDraft:
    (draft,) = plan(event, rule(**changes)).drafts
    return draft


def test_a_paid_checkout_creates_the_dm_of_the_rule() -> None:
    made = plan(stripe_event(PAID), rule())

    assert made.drafts == (
        JobDraft(
            kind="dm",
            account="shop",
            to="jenny.rosen",
            post=None,
            text="Thank you, Jenny Rosen!",
            rule="thank-you",
            callback="crm",
            delay_ms=300_000,
            expires_ms=172_800_000,
            once_key="pi_1PgafyB7WZ01zgkWSjxsAJo3",
        ),
    )
    assert made.results == (RuleResult("thank-you", "matched"),)


def test_a_comment_goes_to_its_post() -> None:
    draft = only_draft(
        stripe_event(PAID),
        action="comment",
        to=None,
        post="https://www.instagram.com/reel/{{ object.metadata.order }}abc/",
        once_per=None,
        delay=None,
        expires=None,
        callback=None,
    )

    assert draft == JobDraft(
        kind="comment",
        account="shop",
        to=None,
        post="6735abc",
        text="Thank you, Jenny Rosen!",
        rule="thank-you",
    )


@pytest.mark.parametrize(
    ("event", "to"),
    [
        ("customer.subscription.deleted", "{{ object.metadata.instagram }}"),
        ("invoice.paid", "{{ object.parent.subscription_details.metadata | field('instagram') }}"),
    ],
)
def test_the_recipient_is_found_in_each_type_of_event(event: str, to: str) -> None:
    draft = only_draft(
        stripe_event(event), event=event, when=None, to=to, text="Hello", once_per=None
    )

    assert (draft.to, draft.failure) == ("some.handle", None)


def test_a_false_condition_creates_no_job() -> None:
    made = plan(stripe_event(f"{PAID}.unpaid"), rule())

    assert made == EventPlan((), (RuleResult("thank-you", "when_false"),))


def test_a_failed_condition_creates_no_job_and_says_why() -> None:
    made = plan(stripe_event(PAID), rule(when="object.payment_state == 'paid'"))

    assert made.drafts == ()
    assert made.results == (
        RuleResult("thank-you", "when_error", "when: object.payment_state is missing"),
    )


@pytest.mark.parametrize(
    ("pattern", "listens"),
    [
        (PAID, True),
        ("checkout.*", True),
        ("*", True),
        ("checkout.session.?ompleted", True),
        ("checkout.session", False),
        ("Checkout.*", False),
        ("invoice.*", False),
        (["invoice.paid", PAID], True),
        (["invoice.*", "checkout.*"], True),
        (["invoice.*", "charge.*"], False),
    ],
)
def test_an_event_pattern_is_a_case_sensitive_glob(pattern: str | list[str], listens: bool) -> None:
    subscriber = rule(event=pattern)

    assert bool(plan(stripe_event(PAID), subscriber).results) is listens
    assert (mismatch(subscriber, "stripe", PAID) is None) is listens


def test_a_rule_of_another_source_does_not_match() -> None:
    other = rule(source="paddle")

    assert plan(stripe_event(PAID), other) == EventPlan((), ())
    assert mismatch(other, "stripe", PAID) == "it is for the source 'paddle'"


def test_rules_run_in_order_and_a_replay_skips_those_that_have_run() -> None:
    book = RuleSet([rule(name="a"), rule(name="b"), rule(name="c", when="false")])

    made = book.plan("stripe", stripe_event(PAID))
    assert [draft.rule for draft in made.drafts] == ["a", "b"]
    again = book.plan("stripe", stripe_event(PAID), skip=frozenset({"a"}))
    assert [draft.rule for draft in again.drafts] == ["b"]
    assert [note.rule for note in again.results] == ["b", "c"]


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"to": "{{ object.metadata.nope }}"}, "template_failed", "to: object.metadata.nope is"),
        ({"to": "{{ object.custom_fields | field('x') }}"}, "template_failed", "to: the field 'x'"),
        (
            {"to": "{{ object.customer_details.name }}"},
            "invalid_recipient",
            "to: is not an Instagram",
        ),
        ({"to": "{{ '' }}"}, "invalid_recipient", "to: is empty"),
        ({"to": "{{ object.customer }}"}, "template_failed", "to: object.customer is null"),
        ({"text": "{{ object.nope }}"}, "template_failed", "text: object.nope is missing"),
        ({"text": "{{ '' }} \n"}, "empty_text", "text: is empty"),
        (
            {"text": "x" * 1001},
            "text_too_long",
            "text: has 1001 characters, and a DM takes at most 1000: shorten it",
        ),
        (
            {"text": "{{ object.id }}" * 40},
            "text_too_long",
            "text: has more than 2000 characters, and a DM takes at most 1000: shorten it",
        ),
        ({"once_per": "{{ '' }}"}, "invalid_once_per", "once_per: "),
        ({"once_per": "x" * 501}, "invalid_once_per", "once_per: "),
        ({"once_per": "{{ object.nope }}"}, "template_failed", "once_per: object.nope"),
        ({"delay": "{{ object.id }}"}, "invalid_delay", "delay: not a duration"),
        ({"expires": "{{ object.id }}"}, "invalid_expires", "expires: not a duration"),
        ({"delay": "{{ '2d' }}"}, "expires_before_run", "expires: the job would expire before"),
        (
            {"expires": "{{ '0s' }}", "delay": None},
            "expires_before_run",
            "expires: the job would expire before",
        ),
    ],
)
def test_a_field_that_cannot_be_resolved_rejects_the_job_at_creation(
    changes: dict[str, Any], code: str, message: str
) -> None:
    draft = only_draft(stripe_event(PAID), **changes)

    assert draft.failure is not None
    assert draft.failure.code == code
    assert draft.failure.message.startswith(message)
    # It still has its callback, and leaves its business key to a later event.
    assert (draft.rule, draft.callback, draft.once_key) == ("thank-you", "crm", None)


def test_an_invalid_post_rejects_the_comment_at_creation() -> None:
    draft = only_draft(
        stripe_event(PAID), action="comment", to=None, post="{{ object.customer_details.name }}"
    )

    assert draft.failure is not None
    assert draft.failure.code == "invalid_post"


@pytest.mark.parametrize("typed", ["jenny@secret.example", "Jenny Secret", "secret..handle"])
def test_a_failure_does_not_repeat_what_the_customer_typed(typed: str) -> None:
    fields = [{"key": "instagram", "type": "text", "text": {"value": typed}}]

    draft = only_draft(stripe_event(PAID, custom_fields=fields))

    assert draft.failure is not None
    assert draft.failure.code == "invalid_recipient"
    assert "secret" not in draft.failure.message.lower()


def test_the_text_limit_depends_on_the_action_and_excludes_surrounding_spaces() -> None:
    event = stripe_event(PAID)

    assert only_draft(event, text="x" * 1000 + " " * 500).failure is None
    comment = {"action": "comment", "to": None, "post": "CxyZ_-1"}
    assert only_draft(event, text="x" * 2200, **comment).failure is None
    too_long = only_draft(event, text="x" * 2201, **comment).failure
    assert too_long is not None
    assert too_long.code == "text_too_long"


def test_delay_and_expiry_may_come_from_the_event() -> None:
    draft = only_draft(
        stripe_event(PAID, metadata={"hours": 3}),
        delay="{{ object.metadata.hours }}h",
        expires="{{ object.metadata.hours + 1 }}h",
    )

    assert (draft.delay_ms, draft.expires_ms) == (3 * 3_600_000, 4 * 3_600_000)


@pytest.mark.parametrize("data", [None, [], "text", 7])
def test_an_unexpected_object_fails_the_job_and_not_the_request(data: Any) -> None:
    draft = only_draft(Event(PAID, {}, data), when=None)

    assert draft.failure is not None
    assert draft.failure.code == "template_failed"


def test_a_rule_without_a_target_is_rejected() -> None:
    with pytest.raises(ValueError, match="'thank-you' needs 'to'"):
        RuleSet([rule(to=None)])


def test_a_phone_number_as_recipient_rejects_the_job() -> None:
    typed = stripe_event(PAID, metadata={"instagram": "612345678"})

    draft = only_draft(typed, to="{{ object.metadata.instagram }}")

    assert draft.failure is not None
    assert draft.failure.code == "invalid_recipient"
    assert "612345678" not in draft.failure.message


def test_a_rule_can_name_a_user_by_id() -> None:
    known = stripe_event(PAID, metadata={"instagram_id": "314159"})

    assert only_draft(known, to="pk:{{ object.metadata.instagram_id }}").to == "314159"
