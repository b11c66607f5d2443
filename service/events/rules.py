"""Rules: which jobs an event makes. Pure: the event goes in, drafts of jobs come out."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar

from service.config.models import Rule
from service.instagram.ids import normalise_post, normalise_recipient
from service.jobs.model import Failure, JobDraft, Write
from service.templates.templates import (
    Condition,
    OutputTooLong,
    Template,
    TemplateFailed,
    is_constant,
)
from service.time_formats.durations import parse_duration_ms

RuleOutcome = Literal["matched", "when_false", "when_error"]

#: Longest text of each action, in characters (what Instagram's own apps accept).
MAX_TEXT: Final[Mapping[Write, int]] = {"dm": 1_000, "comment": 2_200}
MAX_ONCE_KEY: Final = 500

T = TypeVar("T")


class Event(Protocol):
    """What rules need to know of an event."""

    @property
    def type(self) -> str:
        """What happened, in the sender's words."""

    @property
    def body(self) -> Mapping[str, Any]:
        """The whole document; `event` in templates."""

    @property
    def object(self) -> Any:
        """What it happened to; `object` in templates."""


@dataclass(frozen=True)
class RuleResult:
    """What became of one rule whose source and event type fit.

    Parameters:
      rule: Its name.
      outcome: `matched` made a draft; `when_false` and `when_error` made none.
      message: Why `when` could not be told; names paths, never values.
    """

    rule: str
    outcome: RuleOutcome
    message: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """The note as it is kept with the event."""
        return {"rule": self.rule, "outcome": self.outcome, "message": self.message}


class EventPlan(NamedTuple):
    """What one event makes.

    Parameters:
      drafts: The jobs, in the order of the rules; some may be rejected at creation.
      notes: One for each rule whose source and event type fit.
    """

    drafts: tuple[JobDraft, ...]
    notes: tuple[RuleResult, ...]


class RuleSet:
    """The rules of a configuration, compiled once.

    Parameters:
      rules: In the order in which their jobs are made.

    Raises:
      ValueError: A rule has no target for its action.
      BadTemplate: A template cannot be compiled.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(_CompiledRule(rule) for rule in rules)

    @property
    def rule_names(self) -> tuple[str, ...]:
        """Names of all rules, in their order."""
        return tuple(compiled.rule.name for compiled in self._rules)

    def plan(self, source: str, event: Event, skip: frozenset[str] = frozenset()) -> EventPlan:
        """Decide which jobs an event makes.

        Parameters:
          source: Name of the source that sent it.
          event: The event.
          skip: Names of rules that shall not run (a replay: they have their job).

        Returns:
          Drafts and notes. A rule whose `when` cannot be told makes no job: what is not shown to
          be true must not send.
        """
        variables = {"event": event.body, "object": event.object}
        drafts: list[JobDraft] = []
        notes: list[RuleResult] = []
        for compiled in self._rules:
            rule = compiled.rule
            if rule.name in skip or not compiled.matches(source, event.type):
                continue
            notes.append(compiled.evaluate(variables))
            if notes[-1].outcome == "matched":
                drafts.append(compiled.draft(variables))
        return EventPlan(tuple(drafts), tuple(notes))


def mismatch(rule: Rule, source: str, event_type: str) -> str | None:
    """Why a rule does not apply to an event.

    Parameters:
      rule: The rule.
      source: Name of the source that sent the event.
      event_type: The event's type.

    Returns:
      A sentence, or None if it applies.
    """
    if rule.source != source:
        return f"it is for the source {rule.source!r}"
    if not fnmatch.fnmatchcase(event_type, rule.event):
        return f"it is for events of type {rule.event!r}"
    return None


class _Unresolvable(Exception):
    """A field of the job came to nothing."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(code=code, message=message)


class _CompiledRule:
    def __init__(self, rule: Rule) -> None:
        target = rule.to if rule.action == "dm" else rule.post
        if target is None:
            field = "to" if rule.action == "dm" else "post"
            raise ValueError(f"rule {rule.name!r} needs {field!r} for its action")
        self.rule = rule
        self._fits = re.compile(fnmatch.translate(rule.event)).match
        self._limit = MAX_TEXT[rule.action]
        self._when = Condition(rule.when) if rule.when is not None else None
        self._target = Template(target)
        self._recipient = partial(normalise_recipient, bare_numbers=is_constant(target))
        # Room for white space around the text, which does not count.
        self._text = Template(rule.text, max_output=2 * self._limit)
        self._once_per = _optional(rule.once_per)
        self._delay = _optional(rule.delay)
        self._expires = _optional(rule.expires)
        self._matched = RuleResult(rule.name, "matched")
        self._when_false = RuleResult(rule.name, "when_false")
        self._empty = JobDraft(
            kind=rule.action,
            account=rule.account,
            to=None,
            post=None,
            text="",
            rule=rule.name,
            callback=rule.callback,
            dry_run=rule.dry_run,
        )

    def matches(self, source: str, event_type: str) -> bool:
        """Whether it is about such an event (`mismatch` says why not)."""
        return self.rule.source == source and self._fits(event_type) is not None

    def evaluate(self, variables: Mapping[str, Any]) -> RuleResult:
        """Whether `when` holds."""
        try:
            holds = self._when is None or self._when.holds(variables)
        except TemplateFailed as error:
            return RuleResult(self.rule.name, "when_error", f"when: {error}")
        return self._matched if holds else self._when_false

    def draft(self, variables: Mapping[str, Any]) -> JobDraft:
        """The job; rejected at creation, without a business key, if a field cannot be filled in.

        The key stays free so that a later event about the same fact can still make the job.
        """
        try:
            return self._filled(variables)
        except _Unresolvable as error:
            return self._empty._replace(failure=error.failure)

    def _filled(self, variables: Mapping[str, Any]) -> JobDraft:
        rule = self.rule
        to, post = self._resolve_target(variables)
        text = self._resolve_text(variables)
        once_key = self._resolve_once_key(variables)
        delay_ms = _duration("delay", self._delay, variables) or 0
        expires_ms = _duration("expires", self._expires, variables)
        if expires_ms is not None and expires_ms <= delay_ms:
            raise _Unresolvable("expires_before_run", "expires: over before the job may run")
        return JobDraft(
            kind=rule.action,
            account=rule.account,
            to=to,
            post=post,
            text=text,
            rule=rule.name,
            callback=rule.callback,
            delay_ms=delay_ms,
            expires_ms=expires_ms,
            once_key=once_key,
            dry_run=rule.dry_run,
        )

    def _resolve_target(self, variables: Mapping[str, Any]) -> tuple[str | None, str | None]:
        if self.rule.action == "dm":
            raw = _rendered("to", self._target, variables)
            return _parsed("to", "invalid_recipient", self._recipient, raw), None
        raw = _rendered("post", self._target, variables)
        return None, _parsed("post", "invalid_post", normalise_post, raw)

    def _resolve_text(self, variables: Mapping[str, Any]) -> str:
        text = _rendered("text", self._text, variables, too_long="text_too_long")
        if not text:
            raise _Unresolvable("empty_text", "text: came out empty")
        if len(text) > self._limit:
            message = f"text: the result is longer than {self._limit} characters"
            raise _Unresolvable("text_too_long", message)
        return text

    def _resolve_once_key(self, variables: Mapping[str, Any]) -> str | None:
        if self._once_per is None:
            return None
        key = _rendered("once_per", self._once_per, variables)
        if not 0 < len(key) <= MAX_ONCE_KEY:
            message = f"once_per: came out empty, or longer than {MAX_ONCE_KEY} characters"
            raise _Unresolvable("invalid_once_per", message)
        return key


def _optional(source: str | None) -> Template | None:
    return None if source is None else Template(source)


def _rendered(
    field: str,
    template: Template,
    variables: Mapping[str, Any],
    too_long: str = "template_failed",
) -> str:
    try:
        return template.render(variables).strip()
    except TemplateFailed as error:
        code = too_long if isinstance(error, OutputTooLong) else "template_failed"
        raise _Unresolvable(code, f"{field}: {error}") from error


def _parsed(field: str, code: str, parse: Callable[[str], T], raw: str) -> T:
    try:
        return parse(raw)
    except ValueError as error:
        raise _Unresolvable(code, f"{field}: {error}") from error


def _duration(field: str, template: Template | None, variables: Mapping[str, Any]) -> int | None:
    if template is None:
        return None
    raw = _rendered(field, template, variables)
    return _parsed(field, f"invalid_{field}", parse_duration_ms, raw)
