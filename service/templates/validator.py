"""Which templates are allowed, and where checks are put into them.

Printing, joining, looping and building lists have no hook in Jinja, so the parsed template is
rewritten to send their values through filters of the sandbox.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from service.templates.filters import CONTEXT_FILTERS
from service.templates.sandbox import COLLECT, CONCAT, LOOP, PRINT, VARIABLES, Sandbox

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


class TemplateValidator(NodeTransformer):
    """Rejects syntax that is not allowed, and wraps expressions that are checked at run time.

    Attributes:
      paths: For each constant name or index looked up, the dotted paths that end with it.
      literals: The strings within expressions.
      needs_limit: Whether the cost of a rendering depends on the data: there is a filter, a test
        or a loop.
      only_variables: Whether it needs no names but its variables and its own: no loop, no function
        of the sandbox, and no filter that keeps something in the context.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._loaded: dict[str, int] = {}
        self._stored: set[str] = {"loop"}
        self.paths: dict[Any, set[str]] = {}
        self.literals: list[str] = []
        self.needs_limit = False
        self.only_variables = True

    def check(self, template: nodes.Template) -> nodes.Template:
        """Check and rewrite a whole template; raise BadTemplate if it is not allowed."""
        self.visit(template)
        known = VARIABLES | self._stored | self._sandbox.globals.keys()
        for name, line in self._loaded.items():
            if name not in known:
                raise BadTemplate(_unknown_message("name", name, known), line)
        self.only_variables &= self._loaded.keys().isdisjoint(self._sandbox.globals)
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
        self.needs_limit = True
        self.only_variables &= node.name not in CONTEXT_FILTERS
        return self.generic_visit(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:  # noqa: N802
        self._check_known("test", node, self._sandbox.tests)
        self.needs_limit = True
        return self.generic_visit(node)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        if node.recursive:
            raise BadTemplate("a loop must not be recursive", node.lineno)
        self.needs_limit = True
        self.only_variables = False
        name = describe(node.iter)
        self.generic_visit(node)
        node.iter = _wrap_in_filter(LOOP, node.iter, name)
        return node

    def visit_Output(self, node: nodes.Output) -> nodes.Node:  # noqa: N802
        children = list(_printed_alone(node.nodes))
        names = [describe(child) for child in children]
        node.nodes = children
        self.generic_visit(node)
        node.nodes = [
            child if isinstance(child, nodes.TemplateData) else _wrap_in_filter(PRINT, child, name)
            for child, name in zip(node.nodes, names, strict=True)
        ]
        return node

    def visit_Const(self, node: nodes.Const) -> nodes.Node:  # noqa: N802
        if isinstance(node.value, str):
            self.literals.append(node.value)
        return node

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _wrap_in_filter(COLLECT, node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _wrap_in_filter(COLLECT, node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _wrap_in_filter(COLLECT, node) if node.ctx == "load" else node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        names = tuple(describe(child) for child in node.nodes)
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return _wrap_in_filter(CONCAT, parts, names)

    def _check_known(
        self, what: str, node: nodes.Filter | nodes.Test, known: Iterable[str]
    ) -> None:
        if node.name not in known:
            visible = {name for name in known if " " not in name}
            raise BadTemplate(_unknown_message(what, node.name, visible), node.lineno)


def describe(node: nodes.Node | None) -> str:
    """Return the dotted path that an expression spells out, or those in it; else "a value"."""
    path = _path(node)
    if path is not None or node is None:
        return path or "a value"
    found = filter(None, map(_path, node.find_all((nodes.Name, nodes.Getattr, nodes.Getitem))))
    paths = list(dict.fromkeys(found))
    longest = [path for path in paths if not any(_is_within(path, other) for other in paths)]
    return " or ".join(longest[:3]) or "a value"


def _path(node: nodes.Node | None) -> str | None:
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{describe(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return f"{describe(node.node)}[{node.arg.value!r}]"
    if isinstance(node, nodes.Filter):
        return _filter_path(node)
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        return _path(node.node.node)  # a method of text
    return None


def _filter_path(node: nodes.Filter) -> str | None:
    if node.name == "field" and len(node.args) == 1 and isinstance(node.args[0], nodes.Const):
        return f"{describe(node.node)} | field({node.args[0].value!r})"
    return _path(node.node)


def _is_within(path: str, other: str) -> bool:
    return other != path and other.startswith((f"{path}.", f"{path}[", f"{path} "))


def _printed_alone(children: Iterable[nodes.Expr]) -> Iterator[nodes.Expr]:
    """The expressions of `{{ a ~ b }}` as those of `{{ a }}{{ b }}`, with constants as text."""
    for child in children:
        if isinstance(child, nodes.Concat):
            yield from _printed_alone(child.nodes)
        elif isinstance(child, nodes.Const) and isinstance(child.value, str):
            yield nodes.TemplateData(child.value, lineno=child.lineno)
        else:
            yield child


def _wrap_in_filter(name: str, inner: nodes.Node, *notes: object) -> nodes.Filter:
    line = inner.lineno
    arguments: list[nodes.Expr] = [nodes.Const(note, lineno=line) for note in notes]
    return nodes.Filter(inner, name, arguments, [], None, None, lineno=line)


def _unknown_message(what: str, name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, sorted(known), n=1)
    if nearest:
        return f"there is no {what} {name!r}; did you mean {nearest[0]!r}?"
    if what == "name":
        return f"there is no {what} {name!r}; templates can use {' and '.join(sorted(VARIABLES))}"
    return f"there is no {what} {name!r} here"
