"""The sandboxed Jinja environment of rules.

The operator writes the templates, strangers write the data. So data is looked up and never run:
`a.b` is always the item `b` of an object, text has a few harmless methods, and templates may
contain only the syntax that `validator.py` allows, which also puts the checks below into them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from jinja2 import Undefined, pass_context
from jinja2.exceptions import UndefinedError
from jinja2.runtime import Context, LoopContext, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as BUILTIN_TESTS
from jinja2.utils import missing

from service.templates.errors import FilterError
from service.templates.filters import FILTERS, MAX_ITEMS, OPERATORS, add, text
from service.templates.link_policy import Printed
from service.templates.work_limit import WORK_LIMIT, metered
from service.unicode_text.invisible import strip_invisible

MAX_STEPS: Final = 1_000
MAX_RANGE: Final = 1_000
VARIABLES: Final = frozenset({"event", "object"})

# Names with a space, which no template can spell.
STEPS: Final = "steps left"
PRINT, CONCAT, LOOP = "checked print", "checked concat", "checked loop"
COLLECT: Final = "checked collection"

_JINJA_TYPES: Final = (LoopContext, Undefined)
_TEXT_METHODS: Final = frozenset(
    {
        *("capitalize", "casefold", "count", "endswith", "find", "isalnum", "isalpha", "isdigit"),
        *("lower", "lstrip", "partition", "removeprefix", "removesuffix", "rpartition", "rsplit"),
        *("rstrip", "split", "splitlines", "startswith", "strip", "title", "upper"),
    }
)


class MissingName(UndefinedError):
    """A missing item; the message is its bare name."""


class MissingValue(StrictUndefined):
    """A missing value: every use of it fails except `is defined` and `default`."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: type[Exception] = UndefinedError,
    ) -> None:
        super().__init__(hint, obj, name, exc if hint else MissingName)  # type: ignore[arg-type]

    @property
    def _undefined_message(self) -> str:
        return self._undefined_hint or str(self._undefined_name)


class Sandbox(ImmutableSandboxedEnvironment):
    """Looks up items only, and checks the operators that could create a large value."""

    intercepted_binops = frozenset(OPERATORS)

    def __init__(self) -> None:
        super().__init__(undefined=MissingValue, autoescape=False, cache_size=0)
        self.globals = {"range": bounded_range}
        self.filters = {
            **FILTERS,
            PRINT: checked_text,
            CONCAT: checked_concat,
            LOOP: checked_loop,
            COLLECT: checked_collection,
        }
        tests: Mapping[str, Any] = BUILTIN_TESTS
        self.tests = {name: metered(name, test) for name, test in tests.items()}

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict:  # the common case
            if attribute not in obj:
                return self.undefined(obj=obj, name=attribute)
            value = obj[attribute]
            return strip_invisible(value) if type(value) is str else value
        if isinstance(obj, str) and attribute in _TEXT_METHODS:
            return getattr(strip_invisible(obj), attribute)
        if isinstance(obj, _JINJA_TYPES):
            return super().getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            return super().getitem(obj, argument)
        try:
            value = obj[argument]
        except (TypeError, LookupError):
            return self.undefined(obj=obj, name=argument)
        return strip_invisible(value) if isinstance(value, str) else value

    def call_binop(
        self,
        context: Context,  # noqa: ARG002 - Jinja's signature
        operator: str,
        left: Any,
        right: Any,
    ) -> Any:
        return OPERATORS[operator](left, right)


def bounded_range(*args: int) -> range:
    """`range`, limited to `MAX_RANGE` numbers."""
    numbers = range(*args)
    # Slicing avoids the overflow of `len` on huge ranges.
    if numbers[MAX_RANGE : MAX_RANGE + 1]:
        raise FilterError(f"range is limited to {MAX_RANGE} numbers")
    return numbers


def checked_text(value: Any, name: str) -> str:
    """Return the text of `{{ value }}`; an error names the expression."""
    plain = strip_invisible(value) if type(value) is str else _named_text(value, name)
    return Printed(plain, name)


def checked_concat(values: list[Any], names: tuple[str, ...]) -> str:
    """`a ~ b ~ c`, with the limits of `+`."""
    parts = map(_named_text, values, names)
    return functools.reduce(add, parts, "")


@pass_context
def checked_loop(context: Context, values: Iterable[Any], name: str) -> Iterator[Any]:
    """Yield the values of a `for` loop; all loops of one rendering share `MAX_STEPS` steps."""
    if values is None:
        raise FilterError(f"{name} is null")
    steps, limit = context[STEPS], WORK_LIMIT.get()
    for value in values:
        if next(steps, None) is None:
            raise FilterError(f"loops take more than {MAX_STEPS} steps")
        if limit is not None:
            limit.check_time()
        yield value


def checked_collection(values: Any) -> Any:
    """Return a list, tuple or object that a template builds, unless it holds too much.

    Nested into one another a few dozen times they would take forever to compare.
    """
    pending, count = [values], 0
    while pending:
        value = pending.pop()
        children = value.values() if isinstance(value, dict) else value
        count += len(children)
        if count > MAX_ITEMS:
            raise FilterError(f"a list or object holds more than {MAX_ITEMS} values")
        pending.extend(child for child in children if isinstance(child, list | tuple | dict))
    return values


#: A default in a business key would give all events without a value one key.
_NULL_REMEDY: Final = "if it may be, add | default('...'), or in once_per another key to its list"


def _named_text(value: Any, name: str) -> str:
    try:
        return text(value)
    except FilterError as error:
        if value is None:
            raise FilterError(f"{name} is null; {_NULL_REMEDY}") from error
        raise FilterError(f"{name}: {error.message}") from error
