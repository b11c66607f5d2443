"""The business key of a rule: the first of its templates that has a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from service.config.models import Rule
from service.events.rules import RuleSet
from service.jobs.model import JobDraft

FALLBACKS = ["{{ object.payment_intent }}", "{{ object.invoice }}", "{{ object.id }}"]


@dataclass(frozen=True)
class Event:
    """The part of an event that rules use."""

    object: dict[str, Any]
    type: str = "checkout.session.completed"
    body: dict[str, Any] = field(default_factory=dict)


def job(once_per: str | list[str], **thing: Any) -> JobDraft:
    document = {
        "name": "thank-you",
        "source": "stripe",
        "event": "*",
        "action": "dm",
        "account": "shop",
        "to": "jenny.rosen",
        "text": "Thank you!",
        "once_per": once_per,
    }
    (draft,) = RuleSet([Rule.model_validate(document)]).plan("stripe", Event(thing)).drafts
    return draft


@pytest.mark.parametrize(
    ("thing", "key"),
    [
        ({"payment_intent": "pi_1", "invoice": "in_1", "id": "cs_1"}, "pi_1"),
        ({"payment_intent": None, "invoice": "in_1", "id": "cs_1"}, "in_1"),
        ({"payment_intent": None, "invoice": None, "id": "cs_1"}, "cs_1"),
        ({"payment_intent": "", "invoice": "  ", "id": "cs_1"}, "cs_1"),
        ({"id": "cs_1"}, "cs_1"),
        ({"payment_intent": {"id": "pi_1"}, "id": "cs_1"}, "cs_1"),
        ({"payment_intent": 0, "id": "cs_1"}, "0"),
    ],
)
def test_the_first_key_with_a_value_counts(thing: dict[str, Any], key: str) -> None:
    draft = job(FALLBACKS, **thing)
    assert (draft.failure, draft.once_key) == (None, key)


@pytest.mark.parametrize(
    ("thing", "fallbacks"),
    [
        ({"payment_intent": "pi_1", "invoice": "in_1", "id": "cs_1"}, ("in_1", "cs_1")),
        ({"payment_intent": "pi_1", "invoice": None, "id": "cs_1"}, ("cs_1",)),
        ({"payment_intent": None, "invoice": None, "id": "cs_1"}, ()),
        ({"payment_intent": "pi_1", "id": "pi_1"}, ()),
        ({"payment_intent": "pi_1"}, ()),
        ({"payment_intent": "pi_1", "id": "x" * 501}, ()),
    ],
)
def test_its_other_keys_are_kept_for_events_without_the_first(
    thing: dict[str, Any], fallbacks: tuple[str, ...]
) -> None:
    draft = job(FALLBACKS, **thing)
    assert (draft.failure, draft.once_fallbacks) == (None, fallbacks)


@pytest.mark.parametrize("once_per", ["{{ object.payment_intent or object.id }}", FALLBACKS])
def test_an_expression_with_or_is_a_fallback_too(once_per: str | list[str]) -> None:
    assert job(once_per, payment_intent=None, id="cs_1").once_key == "cs_1"


def test_the_last_key_says_what_is_missing() -> None:
    failure = job(FALLBACKS, payment_intent=None).failure
    assert failure is not None
    assert (failure.code, failure.message) == ("template_failed", "once_per: object.id is missing")


def test_a_key_that_is_too_long_is_no_key() -> None:
    failure = job(FALLBACKS, payment_intent="x" * 501, id="cs_1").failure
    assert failure is not None
    assert failure.code == "invalid_once_per"
