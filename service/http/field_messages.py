"""What is wrong with a field, in terms of JSON: pydantic's own messages are for who writes Python.

The types of error, and what each has in `ctx`, are those of
https://docs.pydantic.dev/latest/errors/validation_errors/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: What pydantic calls the forms of a body that may be one object or a list of them.
TAGS: Final = ("<one>", "<many>")
_ONE, _ = TAGS

_OBJECT: Final = "must be a JSON object"
_TEXT: Final = "must be a string"
_WHOLE: Final = "must be a whole number"
_NUMBER: Final = "must be a number"
_BOOLEAN: Final = "must be true or false"
_NO_TIME: Final = "is not a time that exists: check its month, day, hour and zone"
_SENT_AS: Final = "sent as Content-Type: application/json"

#: By pydantic's type of error; the fields in braces are those of its context.
MESSAGES: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is not a known field: remove it, or see /docs for the right name",
    "model_attributes_type": f"{_OBJECT}, {_SENT_AS}",
    "model_type": _OBJECT,
    "dict_type": _OBJECT,
    "list_type": "must be an array",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "string_type": _TEXT,
    "string_unicode": "must not contain a lone surrogate",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match the regular expression {pattern}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": "has too many digits",
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "must be a finite number",
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "greater_than_equal": "must be at least {ge:.15g}",
    "less_than_equal": "must be at most {le:.15g}",
    "datetime_parsing": _NO_TIME,
    "datetime_from_date_parsing": _NO_TIME,
    "timezone_aware": "must have a zone, such as Z or +01:00",
}
#: For a type of error that no field has yet.
UNNAMED: Final = "has a value that cannot be used: see /docs for what it takes"


def field_message(problem: Mapping[str, Any]) -> str:
    """What is wrong with a field; never repeats what was sent.

    Parameters:
      problem: One of what `ValidationError.errors()` has.
    """
    context = problem.get("ctx", {})
    if problem["type"] == "value_error":
        return str(context["error"])
    if problem["type"] == "model_attributes_type" and problem["loc"][-1] == _ONE:
        return f"{_OBJECT}, or an array of such objects, {_SENT_AS}"
    message = MESSAGES.get(problem["type"], UNNAMED).format_map(context)
    return f"{message.removesuffix('s')}" if _is_one(context) else message


def _is_one(context: Mapping[str, Any]) -> bool:
    return 1 in (context.get("min_length"), context.get("max_length"))
