"""Strangers' links and mentions in texts that are sent in the shop's name."""

from __future__ import annotations

import time
from typing import Any

import pytest

from service.templates.templates import ForeignLinkFound, Message, Template

OBJECT: dict[str, Any] = {
    "id": "cs_1",
    "count": 5,
    "name": "Jenny Rosen",
    "handle": "some.handle",
    "note": "see Evil.com now",
    "mention": "@evil",
    "first": "evil",
    "last": ".com",
    "top": "com",
    "words": ["a", "evil.com"],
    "metadata": {"url": "https://evil.com/x", "receipt_url": "https://evil.com/x", "k@evil": "v"},
    "custom_fields": [{"key": "url", "text": {"value": "https://evil.com"}}],
    "line_items": [{"title": "A", "image_url": "https://cdn.shop.example/a.png"}],
    "website_url": "https://evil.com",
    "customer": {"url": "https://evil.com", "avatar_url": "https://cdn.example/a.png"},
    "receipt_url": "https://pay.stripe.example/receipts/Abc?s=ap",
    "url": "https://checkout.stripe.example/c/pay/cs_1#fid",
    "management_urls": {"cancel": "https://buyer.paddle.example/cancel"},
}
VARIABLES = {"event": {"data": {"object": OBJECT}}, "object": OBJECT}


def render(source: str) -> str:
    return Message(source).render(VARIABLES)


@pytest.mark.parametrize(
    "source",
    [
        "{{ object.note }}",
        "{{ object.note | upper }}",
        "{{ object.note | trim | replace('e', 'E') }}",
        "{{ object.note | truncate(12, true, '', 0) }}",
        "{{ object.note | urlencode }}",
        "{{ object.note[4:12] }}",
        "{{ object.note.split(' ')[1] }}",
        "{{ object.note | list | join }}",
        "{{ object.words | join(', ') }}",
        "{{ object.words | last }}",
        "{% for word in object.words %}{{ word }} {% endfor %}",
        "{% for key, value in object.metadata | items %}{{ key }} {% endfor %}",
        "{% set text = object.note %}{{ text }}",
        "{{ '%s!' | format(object.note) }}",
        "{{ '%s!' % object.note }}",
        "{{ object.mention }}",
        "{{ object.first }}{{ object.last }}",
        "{{ object.first }}.{{ object.top }}",
        "{{ object.first ~ object.last }}",
        "{{ object.first + object.last }}",
        "{{ [object.first, object.last] | join }}",
        "@{{ object.first }}{{ object.last }}",
        "{{ object.metadata.url }}",
        "{{ object.metadata.receipt_url }}",
        "{{ object.metadata | field('receipt_url') }}",
        "{{ object.custom_fields | field('url') }}",
        "{{ object.website_url }}",
        "{{ object.customer.url }}",
        "{{ object.receipt_url }}{{ object.mention }}",
        "https://shop.example{{ object.last }}",
        "https://shop.example/r?to={{ object.metadata.url }}",
        "shop.example{{ object.mention }}",
        "{% set url = 'https://shop.example/' ~ object.metadata.url %}{{ url }}",
    ],
)
def test_a_link_or_mention_of_a_stranger_is_not_sent(source: str) -> None:
    with pytest.raises(ForeignLinkFound) as error:
        render(source)

    assert "evil" not in str(error.value).lower()
    assert "| allow_links" in str(error.value)


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("Hi {{ object.note }}", "object.note has"),
        ("{{ object.note | upper }}", "object.note has"),
        ("{{ object.note.split(' ')[1] }}", "object.note"),
        ("{{ object.custom_fields | field('url') }}", "object.custom_fields | field('url') has"),
        ("{{ object.first }}{{ object.last }}", "object.first and object.last together make"),
        ("{{ '%s%s' % (object.first, object.last) }}", "object.first or object.last has"),
        ("{% for word in object.words %}{{ word }}{% endfor %}", "word has"),
    ],
)
def test_the_error_names_the_field(source: str, named: str) -> None:
    with pytest.raises(ForeignLinkFound) as error:
        render(source)

    assert str(error.value).startswith(named)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Thank you, {{ object.name }}!", "Thank you, Jenny Rosen!"),
        ("Hi {{ object.handle }}", "Hi some.handle"),
        ("Hi @{{ object.handle }}!", "Hi @some.handle!"),
        ("{{ object.name }}: https://shop.example", "Jenny Rosen: https://shop.example"),
        ("{{ object.name }}, ask @shop or a@b.com", "Jenny Rosen, ask @shop or a@b.com"),
        ("https://shop.example/o/{{ object.id }}", "https://shop.example/o/cs_1"),
        ("{{ 'https://shop.example/o/' ~ object.id }}", "https://shop.example/o/cs_1"),
        ("{{ 'shop.example/%s' | format(object.id) }}", "shop.example/cs_1"),
        ("{% set u = 'shop.example/' ~ object.id %}See {{ u }}.", "See shop.example/cs_1."),
        ("{{ object.nope | default('shop.example') }}", "shop.example"),
        ("{{ 'a.example' if object.count > 3 else 'b' }} {{ object.id }}", "a.example cs_1"),
        ("Hi {{ object.note | allow_links }}", "Hi see Evil.com now"),
        ("{{ object.note | allow_links | upper }}", "SEE EVIL.COM NOW"),
        ("{{ object.metadata.url | allow_links }}?a=1", "https://evil.com/x?a=1"),
        ("{{ object.mention | allow_links }}", "@evil"),
        ("Hi {{ object.note | plain }}!", "Hi see now!"),
        ("Hi {{ object.mention | plain }}!", "Hi !"),
        ("{{ object.words | map('plain') | join('-') }}", "a-"),
        ("See {{ object.receipt_url }}.", "See https://pay.stripe.example/receipts/Abc?s=ap."),
        ("({{ object.receipt_url }})", "(https://pay.stripe.example/receipts/Abc?s=ap)"),
        ("{{ object.receipt_url }}&l=de", "https://pay.stripe.example/receipts/Abc?s=ap&l=de"),
        ("{{ object.url }}", "https://checkout.stripe.example/c/pay/cs_1#fid"),
        ("{{ object.management_urls.cancel }}", "https://buyer.paddle.example/cancel"),
        ("{{ object.customer.avatar_url }}", "https://cdn.example/a.png"),
        (
            "{% for i in object.line_items %}{{ i.title }} {{ i.image_url }}{% endfor %}",
            "A https://cdn.shop.example/a.png",
        ),
    ],
)
def test_what_the_rule_or_the_provider_wrote_is_sent(source: str, expected: str) -> None:
    assert render(source) == expected


def test_many_links_take_little_time() -> None:
    source = "{% for i in range(900) %}{{ object.mention | allow_links }} {% endfor %}"
    started = time.thread_time()

    assert Message(source, max_output=10_000).render(VARIABLES) == "@evil " * 900
    assert time.thread_time() - started < 0.5


def test_allowing_one_field_allows_no_other() -> None:
    with pytest.raises(ForeignLinkFound, match=r"^object\.mention has"):
        render("{{ object.note | allow_links }} {{ object.mention }}")


def test_other_fields_of_a_rule_may_have_links() -> None:
    assert Template("{{ object.metadata.url }}").render(VARIABLES) == "https://evil.com/x"


HIDDEN = "Je\u200bn\u202en\u2066y\U000e0041\x07\u00ad"


@pytest.mark.parametrize(
    "source",
    [
        "{{ object.text }}",
        "{{ object.text.title() }}",
        "{{ object.text | replace('x', 'y') }}",
        "{{ object.text | urlencode }}",
        "{{ object.text ~ '' }}",
        "{{ object.text + '' }}",
        "{{ object.text | list | join }}",
        "{{ [object.text] | first }}",
        "{{ '%s' % object.text }}",
        "{{ object.text[:] }}",
        "{% for key in object.keys %}{{ key }}{% endfor %}",
        "{% for key in object.keys %}{{ key.title() }}{% endfor %}",
        "{{ object.nested | map(attribute='text') | join }}",
        "{% set text = object.text %}{{ text }}",
        "{% if object.text == 'Jenny' %}Jenny{% endif %}",
        "{{ 'x' | replace('x', object.text) }}",
    ],
)
def test_values_lose_invisible_characters_whatever_is_done_with_them(source: str) -> None:
    data = {"text": HIDDEN, "keys": {HIDDEN: 1}, "nested": [{"text": HIDDEN}]}

    assert Template(source).render({"event": {}, "object": data}) == "Jenny"


def test_emoji_of_a_value_stay_whole() -> None:
    data = {"name": "Jenny 👩🏽‍🚀❤️"}

    assert Message("Hi {{ object.name }}!").render({"event": {}, "object": data}) == (
        "Hi Jenny 👩🏽‍🚀❤️!"
    )
