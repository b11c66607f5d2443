"""From events to drafts of jobs, on events as Stripe publishes them."""

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
    """As `service.events.parsing.ParsedEvent`, of which rules see this much."""

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


def test_a_paid_checkout_makes_the_dm_that_the_rule_describes() -> None:
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
    assert made.notes == (RuleResult("thank-you", "matched"),)


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
def test_the_handle_is_found_where_each_event_keeps_it(event: str, to: str) -> None:
    draft = only_draft(
        stripe_event(event), event=event, when=None, to=to, text="Hello", once_per=None
    )

    assert (draft.to, draft.failure) == ("some.handle", None)


def test_a_rule_whose_condition_is_false_makes_no_job() -> None:
    made = plan(stripe_event(f"{PAID}.unpaid"), rule())

    assert made == EventPlan((), (RuleResult("thank-you", "when_false"),))


def test_a_condition_that_cannot_be_told_makes_no_job_and_says_why() -> None:
    made = plan(stripe_event(PAID), rule(when="object.payment_state == 'paid'"))

    assert made.drafts == ()
    assert made.notes == (
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
    ],
)
def test_an_event_pattern_is_a_glob_that_minds_case(pattern: str, listens: bool) -> None:
    listener = rule(event=pattern)

    assert bool(plan(stripe_event(PAID), listener).notes) is listens
    assert (mismatch(listener, "stripe", PAID) is None) is listens


def test_a_rule_for_another_source_does_not_listen() -> None:
    other = rule(source="paddle")

    assert plan(stripe_event(PAID), other) == EventPlan((), ())
    assert mismatch(other, "stripe", PAID) == "it is for the source 'paddle'"


def test_rules_run_in_their_order_and_a_replay_skips_those_that_have_run() -> None:
    book = RuleSet([rule(name="a"), rule(name="b"), rule(name="c", when="false")])

    assert book.rule_names == ("a", "b", "c")
    made = book.plan("stripe", stripe_event(PAID))
    assert [draft.rule for draft in made.drafts] == ["a", "b"]
    again = book.plan("stripe", stripe_event(PAID), skip=frozenset({"a"}))
    assert [draft.rule for draft in again.drafts] == ["b"]
    assert [note.rule for note in again.notes] == ["b", "c"]


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"to": "{{ object.metadata.nope }}"}, "template_failed", "to: object.metadata.nope is"),
        ({"to": "{{ object.custom_fields | field('x') }}"}, "template_failed", "to: the field 'x'"),
        ({"to": "{{ object.customer_details.name }}"}, "invalid_recipient", "to: not an Instagram"),
        ({"to": "{{ '' }}"}, "invalid_recipient", "to: empty"),
        ({"to": "{{ object.customer }}"}, "template_failed", "to: object.customer is null"),
        ({"text": "{{ object.nope }}"}, "template_failed", "text: object.nope is missing"),
        ({"text": "{{ '' }} \n"}, "empty_text", "text: came out empty"),
        ({"text": "x" * 1001}, "text_too_long", "text: "),
        ({"text": "{{ object.id }}" * 40}, "text_too_long", "text: "),
        ({"once_per": "{{ '' }}"}, "invalid_once_per", "once_per: "),
        ({"once_per": "x" * 501}, "invalid_once_per", "once_per: "),
        ({"once_per": "{{ object.nope }}"}, "template_failed", "once_per: object.nope"),
        ({"delay": "{{ object.id }}"}, "invalid_delay", "delay: not a duration"),
        ({"expires": "{{ object.id }}"}, "invalid_expires", "expires: not a duration"),
        ({"delay": "{{ '2d' }}"}, "expires_before_run", "expires: over before"),
        ({"expires": "{{ '0s' }}", "delay": None}, "expires_before_run", "expires: over before"),
    ],
)
def test_a_field_that_comes_to_nothing_makes_a_job_that_is_born_failed(
    changes: dict[str, Any], code: str, message: str
) -> None:
    draft = only_draft(stripe_event(PAID), **changes)

    assert draft.failure is not None
    assert draft.failure.code == code
    assert draft.failure.message.startswith(message)
    # It still reports to its callback, and leaves its business key to a later event.
    assert (draft.rule, draft.callback, draft.once_key) == ("thank-you", "crm", None)


def test_a_post_that_is_none_makes_a_comment_that_is_born_failed() -> None:
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


def test_the_limit_of_a_text_is_its_actions_own_and_spaces_around_do_not_count() -> None:
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
def test_an_object_that_is_no_object_fails_the_job_and_not_the_request(data: Any) -> None:
    draft = only_draft(Event(PAID, {}, data), when=None)

    assert draft.failure is not None
    assert draft.failure.code == "template_failed"


def test_a_rule_without_a_target_is_refused_when_the_book_is_opened() -> None:
    with pytest.raises(ValueError, match="'thank-you' needs 'to'"):
        RuleSet([rule(to=None)])


def test_a_phone_number_in_the_handle_s_field_fails_the_job_and_reaches_no_stranger() -> None:
    typed = stripe_event(PAID, metadata={"instagram": "612345678"})

    draft = only_draft(typed, to="{{ object.metadata.instagram }}")

    assert draft.failure is not None
    assert draft.failure.code == "invalid_recipient"
    assert "612345678" not in draft.failure.message


def test_a_rule_can_name_a_user_by_id() -> None:
    known = stripe_event(PAID, metadata={"instagram_id": "314159"})

    assert only_draft(known, to="pk:{{ object.metadata.instagram_id }}").to == "314159"
