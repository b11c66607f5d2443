"""The filters of rule templates, and the operators that could create a large value.

Every function is cheap on any data: it checks the size of its result before building it. JSON's
`null` is never text, because printing `None` to a customer is a mistake.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from jinja2 import Environment, Undefined, pass_context, pass_environment
from jinja2.filters import FILTERS as BUILTIN_FILTERS
from jinja2.filters import make_attrgetter
from jinja2.runtime import Context

from service.templates.errors import FilterError
from service.templates.work_limit import metered_all
from service.unicode_text.invisible import strip_invisible
from service.unicode_text.links import remove_links

MAX_TEXT: Final = 100_000
MAX_ITEMS: Final = 10_000
MAX_INT_BITS: Final = 256
#: Of a number in a text or an event.
MAX_PARSED_BITS: Final = 4_096
MAX_DECIMALS: Final = 12
#: Characters of a number with a width of two digits, in general.
MAX_PLACEHOLDER: Final = 100
#: The texts that may have links, in a context. No template can spell a name with a space.
ALLOWED: Final = "allowed links"

_PLACEHOLDER: Final = re.compile(r"%(?:%|[+ 0]?[0-9]{0,2}(?:\.[0-9])?[sdf])")
_SCALARS: Final = (int, float, Undefined)
_FIELD_VALUES: Final = ("text", "dropdown", "numeric")


def text(value: object) -> str:
    """Convert a scalar to text without invisible characters.

    Raises:
      FilterError: It is null, a list or an object.
    """
    if isinstance(value, str):
        return strip_invisible(value)
    if isinstance(value, _SCALARS):
        return str(value)
    raise FilterError(f"{_type_name(value)} cannot be used as text")


def add(left: Any, right: Any) -> Any:
    """`left + right`, unless the text or list would become too long."""
    if isinstance(left, str) and isinstance(right, str):
        _check_size(len(left) + len(right), MAX_TEXT)
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        _check_size(len(left) + len(right), MAX_ITEMS)
    return left + right


def multiply(left: Any, right: Any) -> Any:
    """`left * right` for numbers; text and lists cannot be repeated."""
    _check_numbers("*", left, right)
    if isinstance(left, int) and isinstance(right, int):
        _check_size(left.bit_length() + right.bit_length(), MAX_INT_BITS)
    return left * right


def power(left: Any, right: Any) -> Any:
    """`left ** right` for numbers, unless the result would become too large."""
    _check_numbers("**", left, right)
    if isinstance(left, int) and isinstance(right, int):
        _check_size(left.bit_length() * abs(right), MAX_INT_BITS)
    return left**right


def modulo(left: Any, right: Any) -> Any:
    """`left % right` for numbers, or text with printf placeholders of at most two digits."""
    if isinstance(left, str):
        return printf(left, *(right if isinstance(right, tuple) else (right,)))
    _check_numbers("%", left, right)
    return left % right


OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": add,
    "*": multiply,
    "**": power,
    "%": modulo,
}


def printf(template: str, *values: object) -> str:
    """Fill `%s`, `%d` and `%f` placeholders whose widths have at most two digits."""
    if "%" in _PLACEHOLDER.sub("", template):
        raise FilterError("a format may contain %s, %d and %f with short widths, and %%")
    parts = [value if isinstance(value, int | float) else text(value) for value in values]
    longest = sum(len(part) for part in parts if isinstance(part, str))
    _check_size(len(template) + longest + MAX_PLACEHOLDER * template.count("%"), MAX_TEXT)
    return template % tuple(parts)


def replace(value: object, old: str, new: str, count: int = -1) -> str:
    """Replace text, unless the result would become too long."""
    source, target = text(value), text(new)
    found = source.count(old) if old else len(source) + 1
    _check_size(len(source) + found * len(target), MAX_TEXT)
    return source.replace(old, target, count)


@pass_environment
def join(
    environment: Environment, values: Iterable[Any], separator: str = "", attribute: Any = None
) -> str:
    """Join scalars, unless the result would become too long."""
    parts: list[str] = []
    size = 0
    for value in _attribute_values(environment, values, attribute):
        parts.append(text(value))
        size += len(parts[-1]) + len(separator)
        _check_size(size, MAX_TEXT)
    return separator.join(parts)


@pass_environment
def sum_values(
    environment: Environment, values: Iterable[Any], attribute: Any = None, start: Any = 0
) -> Any:
    """Add up numbers."""
    for value in _attribute_values(environment, values, attribute):
        _check_numbers("sum", start, value)
        start = start + value
    return start


def round_number(value: Any, precision: int = 0, method: str = "common") -> Any:
    """Round a number to at most twelve decimals."""
    if abs(precision) > MAX_DECIMALS:
        raise FilterError(f"round takes at most {MAX_DECIMALS} decimals")
    return BUILTIN_FILTERS["round"](value, precision, method)


def integer(value: Any, fallback: int = 0, base: int = 10) -> int:
    """Convert to an integer; the fallback if that is impossible, FilterError if it is too large."""
    number: int = BUILTIN_FILTERS["int"](value, fallback, base)
    _check_size(number.bit_length(), MAX_PARSED_BITS)
    return number


def default(value: Any, fallback: Any = "", falsy: bool = False) -> Any:
    """Return the fallback if the value is missing or null (with `true`: or empty, zero, false)."""
    if value is None or isinstance(value, Undefined) or (falsy and not value):
        return fallback
    return value


@pass_environment
def field(environment: Environment, container: Any, key: str) -> Any:
    """Return what the customer entered in a field.

    Parameters:
      container: Stripe Checkout's `custom_fields`, a list of `{"key" or "name", "value"}`, or a
        mapping such as `metadata`.
      key: Name of the field.

    Returns:
      The value; undefined if the field is missing or empty.
    """
    if isinstance(container, Undefined):
        return container
    if isinstance(container, dict):
        filled = container.get(key)
    else:
        filled = _first_filled(container or (), key)
    if filled is None:
        return environment.undefined(f"the field {key!r} is missing or empty")
    return filled


@pass_context
def allow_links(context: Context, value: object) -> str:
    """Convert to text whose links and mentions may be sent."""
    allowed = text(value)
    context[ALLOWED].append(allowed)
    return allowed


def plain(value: object) -> str:
    """Convert to text of one line without links and mentions."""
    return remove_links(text(value))


def _is_named(entry: Any, key: str) -> bool:
    return isinstance(entry, dict) and key in (entry.get("key"), entry.get("name"))


def _first_filled(entries: Iterable[Any], key: str) -> Any:
    for entry in entries:
        if _is_named(entry, key) and (value := _field_value(entry)) is not None:
            return value
    return None


def _field_value(entry: Mapping[str, Any]) -> Any:
    for kind in _FIELD_VALUES:
        content = entry.get(kind)
        if isinstance(content, Mapping):
            return content.get("value")
    return entry.get("value")


def _attribute_values(
    environment: Environment, values: Iterable[Any], attribute: Any
) -> Iterable[Any]:
    if attribute is None:
        return values
    return map(make_attrgetter(environment, attribute), values)


def _type_name(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, Sequence) else "this type of value"


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise FilterError("a value would become too large")


def _check_numbers(symbol: str, *values: object) -> None:
    for value in values:
        if isinstance(value, Undefined):
            str(value)  # raises the undefined value's own error
        if not isinstance(value, int | float):
            raise FilterError(f"{symbol} takes numbers, not {_type_name(value)}")


def _text_only(name: str) -> Callable[..., Any]:
    """Return a builtin filter that accepts scalars only."""
    builtin = BUILTIN_FILTERS[name]
    position = 1 if hasattr(builtin, "jinja_pass_arg") else 0

    @functools.wraps(builtin)
    def filtered(*args: Any, **options: Any) -> Any:
        before, value, after = args[:position], args[position], args[position + 1 :]
        try:
            plain = text(value)
        except FilterError as error:
            raise FilterError(f"{name}: {error.message}") from error
        return builtin(*before, plain, *after, **options)

    return filtered


_TEXT_FILTERS: Final = ("capitalize", "lower", "title", "trim", "truncate", "upper", "urlencode")
_CHEAP_FILTERS: Final = (
    *("abs", "first", "float", "items", "dictsort", "last", "length", "list", "map", "max"),
    *("min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "unique"),
)

_FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    **{name: BUILTIN_FILTERS[name] for name in _CHEAP_FILTERS},
    **{name: _text_only(name) for name in _TEXT_FILTERS},
    "allow_links": allow_links,
    "count": BUILTIN_FILTERS["length"],
    "d": default,
    "default": default,
    "field": field,
    "format": printf,
    "int": integer,
    "join": join,
    "plain": plain,
    "replace": replace,
    "round": round_number,
    "string": text,
    "sum": sum_values,
}
FILTERS: Final = metered_all(_FILTERS)
#: Those that keep something in the context.
CONTEXT_FILTERS: Final = frozenset({"allow_links"})
