"""Size and depth of JSON values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.json_values.plain_json import is_deeper, json_size


def nested(levels: int) -> Any:
    value: Any = 1
    for number in range(levels):
        value = [value] if number % 2 else {"a": value}
    return value


@pytest.mark.parametrize("levels", [0, 1, 2, 15, 16, 17, 300])
@pytest.mark.parametrize("limit", [0, 1, 16])
def test_depth_counts_nested_objects_and_lists(levels: int, limit: int) -> None:
    assert is_deeper(nested(levels), limit) is (levels > limit)


def test_the_deepest_member_counts() -> None:
    assert is_deeper({"a": 1, "b": [[], {"c": "[[["}]}, 2)
    assert not is_deeper({"a": 1, "b": [[], {"c": "[[["}]}, 3)


def test_a_size_is_in_bytes_of_utf_8() -> None:
    value = {"name": "Jörg \U0001f600", "list": [1, 2.5, None, True]}
    assert json_size(value) == len(json.dumps(value, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "\ud800", {"\udc00": 1}, nested(100_000)]
)
def test_a_value_without_a_plain_form_has_no_size(value: Any) -> None:
    assert json_size([value]) is None
