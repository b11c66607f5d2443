"""The sandboxed Jinja environment of rules.

The operator writes the templates, strangers write the data. So data is looked up and never run:
`a.b` is always the item `b` of an object, text has a few harmless methods, and templates may
contain only the syntax of an allow list. The parsed template is rewritten so that printing,
joining and looping go through checks for which Jinja has no hook.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Iterator
from typing import Any, Final

from jinja2 import Undefined, nodes, pass_context
from jinja2.exceptions import UndefinedError
from jinja2.runtime import Context, LoopContext, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from jinja2.visitor import NodeTransformer

from service.templates.filters import FILTERS, OPERATORS, FilterError, add, text

MAX_STEPS: Final = 1_000
MAX_RANGE: Final = 1_000
VARIABLES: Final = frozenset({"event", "object"})

# Names with a space, which no template can spell.
STEPS: Final = "steps left"
_PRINT, _CONCAT, _LOOP = "checked print", "checked concat", "checked loop"

_JINJA_TYPES: Final = (LoopContext, Undefined)
_TEXT_METHODS: Final = frozenset(
    {
        *("capitalize", "casefold", "count", "endswith", "find", "isalnum", "isalpha", "isdigit"),
        *("lower", "lstrip", "partition", "removeprefix", "removesuffix", "rpartition", "rsplit"),
        *("rstrip", "split", "splitlines", "startswith", "strip", "title", "upper"),
    }
)
_ALLOWED_NODES: Final = (
    *(nodes.Template, nodes.Output, nodes.If, nodes.For, nodes.Assign),
    *(nodes.Name, nodes.Literal, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call),
    *(nodes.Getitem, nodes.Getattr, nodes.Slice, nodes.Concat, nodes.Compare, nodes.Operand),
    *(nodes.BinExpr, nodes.UnaryExpr, nodes.Pair, nodes.Keyword),
)


class BadTemplate(ValueError):
    """The template is invalid.

    Parameters:
      message: What is wrong.
      line: Line number within the template, from 1.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message if line <= 1 else f"{message} (line {line} of the template)")
        self.line = line


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
            _PRINT: checked_text,
            _CONCAT: checked_concat,
            _LOOP: checked_loop,
        }

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict:  # the common case
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, str) and attribute in _TEXT_METHODS:
            return getattr(obj, attribute)
        if isinstance(obj, _JINJA_TYPES):
            return super().getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Undefined):
            return super().getitem(obj, argument)
        try:
            return obj[argument]
        except (TypeError, LookupError):
            return self.undefined(obj=obj, name=argument)

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
    return _named_text(value, name)


def checked_concat(values: list[Any], names: tuple[str, ...]) -> str:
    """`a ~ b ~ c`, with the limits of `+`."""
    parts = map(_named_text, values, names)
    return functools.reduce(add, parts, "")


@pass_context
def checked_loop(context: Context, values: Iterable[Any], name: str) -> Iterator[Any]:
    """Yield the values of a `for` loop; all loops of one rendering share `MAX_STEPS` steps."""
    if values is None:
        raise FilterError(f"{name} is null")
    steps = context[STEPS]
    for value in values:
        if next(steps, None) is None:
            raise FilterError(f"loops take more than {MAX_STEPS} steps")
        yield value


def _named_text(value: Any, name: str) -> str:
    try:
        return text(value)
    except FilterError as error:
        if value is None:
            raise FilterError(f"{name} is null; add | default('...') if it may be") from error
        raise FilterError(f"{name}: {error.message}") from error


class TemplateValidator(NodeTransformer):
    """Rejects syntax that is not allowed, and wraps expressions that are checked at run time.

    Attributes:
      paths: For each constant name or index looked up, the dotted paths that end with it.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._loaded: dict[str, int] = {}
        self._stored: set[str] = {"loop"}
        self.paths: dict[Any, set[str]] = {}

    def check(self, template: nodes.Template) -> nodes.Template:
        """Check and rewrite a whole template; raise BadTemplate if it is not allowed."""
        self.visit(template)
        known = VARIABLES | self._stored | self._sandbox.globals.keys()
        for name, line in self._loaded.items():
            if name not in known:
                raise BadTemplate(_unknown_message("name", name, known), line)
        template.set_environment(self._sandbox)
        return template

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        if not isinstance(node, _ALLOWED_NODES):
            raise BadTemplate(f"{type(node).__name__.lower()} is not allowed here", node.lineno)
        return super().generic_visit(node, *args, **kwargs)

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802 - Jinja's naming
        if node.ctx == "load":
            self._loaded.setdefault(node.name, node.lineno)
        else:
            self._stored.add(node.name)
        return node

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802
        self.paths.setdefault(node.attr, set()).add(describe(node))
        return self.generic_visit(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        if isinstance(node.arg, nodes.Const):
            self.paths.setdefault(str(node.arg.value), set()).add(describe(node))
        return self.generic_visit(node)

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:  # noqa: N802
        self._check_known("filter", node, self._sandbox.filters)
        return self.generic_visit(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        self._check_known("test", node, self._sandbox.tests)
        return self.generic_visit(node)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        if node.recursive:
            raise BadTemplate("a loop must not be recursive", node.lineno)
        name = describe(node.iter)
        self.generic_visit(node)
        node.iter = _wrap_in_filter(_LOOP, node.iter, name)
        return node

    def visit_Output(self, node: nodes.Output) -> nodes.Node:  # noqa: N802
        names = [describe(child) for child in node.nodes]
        self.generic_visit(node)
        node.nodes = [
            child if isinstance(child, nodes.TemplateData) else _wrap_in_filter(_PRINT, child, name)
            for child, name in zip(node.nodes, names, strict=True)
        ]
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        names = tuple(describe(child) for child in node.nodes)
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return _wrap_in_filter(_CONCAT, parts, names)

    def _check_known(
        self, what: str, node: nodes.Filter | nodes.Test, known: Iterable[str]
    ) -> None:
        if node.name not in known:
            visible = {name for name in known if " " not in name}
            raise BadTemplate(_unknown_message(what, node.name, visible), node.lineno)


def describe(node: nodes.Node | None) -> str:
    """Return the dotted path that an expression spells out, or "a value"."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{describe(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return f"{describe(node.node)}[{node.arg.value!r}]"
    if isinstance(node, nodes.Filter):
        return describe(node.node)
    return "a value"


def _wrap_in_filter(name: str, inner: nodes.Node, note: object) -> nodes.Filter:
    line = inner.lineno
    return nodes.Filter(inner, name, [nodes.Const(note, lineno=line)], [], None, None, lineno=line)


def _unknown_message(what: str, name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, sorted(known), n=1)
    if nearest:
        return f"there is no {what} {name!r}; did you mean {nearest[0]!r}?"
    if what == "name":
        return f"there is no {what} {name!r}; templates can use {' and '.join(sorted(VARIABLES))}"
    return f"there is no {what} {name!r} here"
