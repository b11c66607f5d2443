"""Templates and conditions of rules: compiled once, rendered on untrusted data."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import jinja2
from jinja2 import nodes
from jinja2.nodes import EvalContext
from jinja2.parser import Parser

from service.templates.errors import FilterError
from service.templates.filters import ALLOWED
from service.templates.link_policy import ForeignLink, Rendering, check_links
from service.templates.plain_paths import look_up, plain_path
from service.templates.render_context import RenderContext
from service.templates.sandbox import MAX_STEPS, STEPS, MissingName, Sandbox
from service.templates.validator import BadTemplate, TemplateValidator
from service.templates.work_limit import WORK_LIMIT, WorkLimit

__all__ = [
    "MAX_OUTPUT",
    "BadTemplate",
    "Condition",
    "ForeignLinkFound",
    "Message",
    "OutputTooLong",
    "Template",
    "TemplateFailed",
    "is_constant",
]

MAX_OUTPUT: Final = 2_000

_TRUE: Final = "true"

#: A text, and the chunks that it consists of.
_Output = tuple[str, Sequence[str]]


class TemplateFailed(Exception):
    """A template fails on this data; the message names paths, never values."""


class OutputTooLong(TemplateFailed):
    """The result is longer than `max_output`."""


class ForeignLinkFound(TemplateFailed):
    """A message has a link or mention that is not the rule's own."""


def is_constant(source: str) -> bool:
    """Whether a template is plain text, the same for every event."""
    return not any(mark in source for mark in ("{{", "{%", "{#"))


class Template:
    """A template over `event` and `object`.

    Parameters:
      source: Jinja, with `{{ }}`, `{% if %}`, `{% for %}` and `{% set %}`.
      max_output: The maximum length of the result, in characters.

    Raises:
      BadTemplate: It does not compile, or uses something that is not available.
    """

    def __init__(self, source: str, max_output: int = MAX_OUTPUT) -> None:
        with _compiling():
            tree = _sandbox().parse(source)
            self._path = plain_path(tree)
            self._program = _Program(tree, max_output)
        self._max_output = max_output
        self._constant = self._render_constant() if is_constant(source) else None

    def render(self, variables: Mapping[str, Any]) -> str:
        """Render the template.

        Parameters:
          variables: Values of `event` and `object`, as parsed from JSON.

        Returns:
          At most `max_output` characters of valid Unicode.

        Raises:
          OutputTooLong: The result would be longer.
          TemplateFailed: A value is missing or null, or an operation does not fit the data.
        """
        if self._constant is not None:
            return self._constant
        found = look_up(self._path, variables) if self._path else None
        if found is not None and len(found) <= self._max_output:
            return found
        return self._program.text(variables)

    def render_values(self, variables: Mapping[str, Any]) -> tuple[str, list[str]]:
        """Render the template, and return the text of each `{{ }}` as well; raises the same.

        A text without any `{{ }}` counts as one.
        """
        rendering = self._program.render(variables)
        if len(rendering.chunks) == 1:
            return rendering.text, [rendering.text]
        return rendering.text, list(map(str.__str__, rendering.values))

    def _render_constant(self) -> str | None:
        """Render plain text, which is the same for every event; None if that fails."""
        try:
            return self._program.text({})
        except TemplateFailed:
            return None


class Message(Template):
    """A template of a text that is sent in somebody's name."""

    def render(self, variables: Mapping[str, Any]) -> str:
        """Render the template.

        Raises:
          ForeignLinkFound: Values of the event put a link or mention into the text.
          OutputTooLong: The result would be longer.
          TemplateFailed: A value is missing or null, or an operation does not fit the data.
        """
        if self._constant is not None:
            return self._constant
        rendering = self._program.render(variables)
        try:
            check_links(rendering, variables)
        except ForeignLink as error:
            raise ForeignLinkFound(str(error)) from error
        return rendering.text


class Condition:
    """An expression over `event` and `object` that is true or false.

    Parameters:
      source: A Jinja expression without braces, such as `object.payment_status == 'paid'`.

    Raises:
      BadTemplate: It does not compile, or uses something that is not available.
    """

    def __init__(self, source: str) -> None:
        with _compiling():
            self._program = _Program(_condition(source), MAX_OUTPUT)

    def holds(self, variables: Mapping[str, Any]) -> bool:
        """Evaluate the expression.

        Parameters:
          variables: Values of `event` and `object`, as parsed from JSON.

        Returns:
          Whether the result is true, by the rules of Jinja's `if`.

        Raises:
          TemplateFailed: A value that the expression needs is missing.
        """
        return self._program.text(variables) == _TRUE


class _Program:
    """A validated and compiled syntax tree."""

    def __init__(self, tree: nodes.Template, max_output: int) -> None:
        sandbox = _sandbox()
        validator = TemplateValidator(sandbox)
        # Not `Template.generate`: building the globals anew takes half of its time.
        self._root = sandbox.from_string(validator.check(tree)).root_render_func
        self._sandbox = sandbox
        self._eval_context = EvalContext(sandbox)
        self._globals = dict(sandbox.globals)
        self._paths = validator.paths
        self._literals = tuple(validator.literals)
        self._needs_limit = validator.needs_limit
        self._only_variables = validator.only_variables
        self._max_output = max_output

    def text(self, variables: Mapping[str, Any]) -> str:
        return self._run(variables, [])[0]

    def render(self, variables: Mapping[str, Any]) -> Rendering:
        allowed: list[str] = []
        text, chunks = self._run(variables, allowed)
        return Rendering(text, chunks, self._literals, allowed)

    def _run(self, variables: Mapping[str, Any], allowed: list[str]) -> _Output:
        token = WORK_LIMIT.set(WorkLimit()) if self._needs_limit else None
        try:
            return self._collect(variables, allowed)
        except MissingName as error:
            raise TemplateFailed(f"{self._path(str(error.message))} is missing") from error
        except (FilterError, jinja2.UndefinedError) as error:
            raise TemplateFailed(str(error.message)) from error
        except (jinja2.TemplateError, RecursionError) as error:
            raise TemplateFailed("the template does something that is not allowed") from error
        except OutputTooLong:
            raise
        except Exception as error:  # noqa: BLE001 - whatever happens, only this rule fails
            kind = type(error).__name__
            # Without the cause, because Python's messages quote values.
            raise TemplateFailed(f"an operation does not fit the data ({kind})") from None
        finally:
            if token is not None:
                WORK_LIMIT.reset(token)

    def _collect(self, variables: Mapping[str, Any], allowed: list[str]) -> _Output:
        if self._only_variables:
            chunks = list(self._root(self._context(variables)))
        else:
            chunks = list(self._bounded(self._root(self._context(self._names(variables, allowed)))))
        text = "".join(chunks)
        if len(text) > self._max_output:
            raise self._too_long()
        if not text.isascii() and not _is_valid_unicode(text):
            raise FilterError("the result contains a lone surrogate")
        return text, chunks

    def _context(self, names: Mapping[str, Any]) -> RenderContext:
        return RenderContext(self._sandbox, self._eval_context, names)

    def _names(self, variables: Mapping[str, Any], allowed: list[str]) -> Mapping[str, Any]:
        return {**self._globals, **variables, STEPS: iter(range(MAX_STEPS)), ALLOWED: allowed}

    def _bounded(self, chunks: Iterable[str]) -> Iterator[str]:
        """End a loop that prints too much."""
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size > self._max_output:
                raise self._too_long()
            yield chunk

    def _too_long(self) -> OutputTooLong:
        return OutputTooLong(f"the result is longer than {self._max_output} characters")

    def _path(self, name: str) -> str:
        # Only names that the template spells out: any other could be a value of the event.
        return " or ".join(sorted(self._paths.get(name, ()))) or "a value"


@functools.cache
def _sandbox() -> Sandbox:
    return Sandbox()


@contextmanager
def _compiling() -> Iterator[None]:
    try:
        yield
    except jinja2.TemplateSyntaxError as error:
        raise BadTemplate(error.message or "syntax error", error.lineno) from error
    except (RecursionError, SyntaxError, MemoryError) as error:
        # Python's compiler has its own limits, such as twenty loops within one another.
        raise BadTemplate("is nested too deeply", 1) from error
    except (ArithmeticError, ValueError, TypeError) as error:
        if isinstance(error, BadTemplate):
            raise
        raise BadTemplate("has a constant that cannot be used", 1) from error


def _condition(source: str) -> nodes.Template:
    # Parsed like `Environment.compile_expression` does, and wrapped in an `if` that prints, so that
    # a condition passes the same checks as a template.
    parser = Parser(_sandbox(), source, state="variable")
    expression = parser.parse_expression()
    if not parser.stream.eos:
        raise BadTemplate("must be a single expression", parser.stream.current.lineno)
    holds = nodes.Output([nodes.TemplateData(_TRUE)])
    body: list[nodes.Node] = [nodes.If(expression, [holds], [], [])]
    return nodes.Template(body, lineno=1).set_lineno(1)  # type: ignore[return-value]


def _is_valid_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
