"""What the file says about senders: events and business keys in lists, and where the type is."""

from __future__ import annotations

from typing import Final

import pytest

from service.config.config import ConfigError, parse_config

_FILE: Final = """[sources.s]
scheme = "{scheme}"
{source}

[accounts.shop]
username = "shop"
password = "env:PASSWORD"

[[rules]]
name = "thanks"
source = "s"
event = {event}
action = "dm"
account = "shop"
to = "some.handle"
text = "Thanks"
{rule}
"""


def file(*, scheme: str = "stripe", source: str = "", event: str = '"a"', rule: str = "") -> str:
    return _FILE.format(scheme=scheme, source=source, event=event, rule=rule)


def problem(text: str) -> str:
    with pytest.raises(ConfigError) as error:
        parse_config(text)
    (found,) = error.value.problems
    return str(found)


@pytest.mark.parametrize(
    ("written", "read"), [('"a"', ("a",)), ('["a"]', ("a",)), ('["a", "b.*"]', ("a", "b.*"))]
)
def test_an_event_may_be_a_list(written: str, read: tuple[str, ...]) -> None:
    assert parse_config(file(event=written)).rules[0].event == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("", ()),
        ('once_per = "{{ object.id }}"', ("{{ object.id }}",)),
        ('once_per = ["a", "b"]', ("a", "b")),
    ],
)
def test_a_business_key_may_be_a_list(written: str, read: tuple[str, ...]) -> None:
    assert parse_config(file(rule=written)).rules[0].once_per == read


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"event": "[]"}, "line 12: rules[0].event: needs 1 or more entries"),
        ({"event": '["a", ""]'}, "line 12: rules[0].event[1]: must not be empty"),
        ({"event": "5"}, "line 12: rules[0].event: must be"),
        ({"event": '["a", 5]'}, "line 12: rules[0].event[1]: must be text"),
        ({"rule": "once_per = []"}, "line 17: rules[0].once_per: needs 1 or more entries"),
        ({"rule": 'once_per = ["{{ a", "b"]'}, "line 17: rules[0].once_per: "),
        (
            {"rule": 'once_per = ["a", "{{ b }}"]'},
            "line 17: rules[0].once_per: there is no name 'b'",
        ),
        ({"source": 'type = "a"'}, "line 3: sources.s.type: is only for the scheme"),
        (
            {"source": 'type = "a..b"', "scheme": "standard-webhooks"},
            "line 3: sources.s.type: must be keys of the body, joined by dots",
        ),
        (
            {"source": 'type = ""', "scheme": "standard-webhooks"},
            "line 3: sources.s.type: must be keys of the body, joined by dots",
        ),
    ],
)
def test_a_mistake_is_reported_where_it_is(changes: dict[str, str], expected: str) -> None:
    assert problem(file(**changes)).startswith(expected)


def test_the_path_of_the_type_is_its_keys() -> None:
    config = parse_config(file(scheme="standard-webhooks", source='type = "meta.event.name"'))
    assert config.sources["s"].type_path == ("meta", "event", "name")
    assert parse_config(file()).sources["s"].type_path == ()
