"""Templates that are one path are looked up without Jinja, with the same results."""

from __future__ import annotations

from typing import Any

import pytest

from service.templates.templates import Message, Template, TemplateFailed

PATH = "{{ object.a.b }}"


def outcome(source: str, value: Any, **options: int) -> str:
    """What a template makes of an object: its text, or its error."""
    try:
        return Template(source, **options).render({"event": {}, "object": value})
    except TemplateFailed as error:
        return f"failed: {error}"


@pytest.mark.parametrize(
    "value",
    [
        {"a": {"b": "pi_1"}},
        {"a": {"b": " pi_1 "}},
        {"a": {"b": ""}},
        {"a": {"b": "Zoë"}},
        {"a": {"b": "line\nbreak\tand\u202emore"}},
        {"a": {"b": "\ud800"}},
        {"a": {"b": "x" * 2_001}},
        {"a": {"b": 12}},
        {"a": {"b": True}},
        {"a": {"b": None}},
        {"a": {"b": ["x"]}},
        {"a": {"b": {"c": "x"}}},
        {"a": {}},
        {"a": None},
        {"a": "text"},
        {"a": ["b"]},
        {},
        None,
        "text",
    ],
)
def test_a_path_means_the_same_as_within_a_longer_template(value: Any) -> None:
    assert outcome(PATH, value) == outcome(PATH + "{% if false %}x{% endif %}", value)


def test_a_path_is_as_long_as_its_limit() -> None:
    value = {"a": {"b": "12345"}}
    assert outcome(PATH, value, max_output=5) == "12345"
    assert outcome(PATH, value, max_output=4).startswith("failed: the result is longer")


def test_methods_of_text_and_names_of_the_sandbox_are_no_paths() -> None:
    assert outcome("{{ object.a.b.upper() }}", {"a": {"b": "x"}}) == "X"
    assert outcome("{{ range(2).b }}", {}).startswith("failed:")


def test_links_in_a_message_of_one_path_are_refused() -> None:
    with pytest.raises(TemplateFailed, match="has a link"):
        Message(PATH).render({"event": {}, "object": {"a": {"b": "evil.example.com/x"}}})


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{% for n in range(3) %}{{ n }}{% endfor %}", "012"),
        ("{% set range = object.a %}{{ range.b }}", "x"),
        ("{{ range(2) | join('-') }}{% set range = 1 %}", "0-1"),
        ("{% set name = object.a.b %}{{ name }}{{ name }}", "xx"),
    ],
)
def test_templates_have_the_names_that_they_use(source: str, text: str) -> None:
    assert outcome(source, {"a": {"b": "x"}}) == text


def test_a_template_leaves_nothing_to_the_next_one() -> None:
    variables = {"event": {}, "object": {"a": {"b": "x"}}}
    Template("{% set extra = object.a.b %}{{ extra }}!").render(variables)
    assert variables == {"event": {}, "object": {"a": {"b": "x"}}}
