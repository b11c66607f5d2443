"""Rules: which jobs an event creates. Pure: an event goes in, job drafts come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, Protocol

from service.config.models import Rule
from service.events.recipients import RecipientTemplate
from service.events.rule_fields import (
    FieldError,
    convert,
    duration,
    optional_template,
    render,
    render_or_empty,
)
from service.events.type_patterns import compile_patterns
from service.instagram.ids import normalise_post
from service.instagram.limits import MAX_TEXT_CHARACTERS, excess, most_characters
from service.jobs.model import Failure, JobDraft
from service.templates.templates import (
    Condition,
    Message,
    Template,
    TemplateFailed,
)

RuleOutcome = Literal["matched", "when_false", "when_error"]

#: What the note of a rule says; `rejected`: it matched, but its job could not be filled in.
NoteOutcome = Literal["matched", "rejected", "when_false", "when_error"]

MAX_ONCE_KEY: Final = 500


class Event(Protocol):
    """The parts of an event that rules use."""

    @property
    def type(self) -> str:
        """What happened, in the sender's terms."""

    @property
    def body(self) -> Mapping[str, Any]:
        """The whole body; `event` in templates."""

    @property
    def object(self) -> Any:
        """The object that the event is about; `object` in templates."""


@dataclass(frozen=True)
class RuleResult:
    """The result of one rule whose source and event type match.

    Parameters:
      rule: The rule's name.
      outcome: `matched` created a draft; `when_false` and `when_error` created none.
      message: Why `when` could not be evaluated; names paths, never values.
    """

    rule: str
    outcome: RuleOutcome
    message: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """Return the form that is stored with the event."""
        return {"rule": self.rule, "outcome": self.outcome, "message": self.message}


class EventPlan(NamedTuple):
    """The jobs that one event creates.

    Parameters:
      drafts: The jobs, in the order of the rules; some may be rejected at creation.
      results: One for each rule whose source and event type match.
    """

    drafts: tuple[JobDraft, ...]
    results: tuple[RuleResult, ...]

    def notes(self) -> list[dict[str, str | None]]:
        """What each rule says of the event, as it is stored with the event.

        The note of a rule whose job is rejected at creation has the outcome `rejected`, the code
        of the failure and its field. The failure's own message may repeat what the sender wrote:
        it is in the job, where it can be erased.
        """
        failures = {draft.rule: draft.failure for draft in self.drafts if draft.failure}
        if not failures:
            return [result.as_dict() for result in self.results]
        return [_note(result, failures.get(result.rule)) for result in self.results]


class RuleSet:
    """The rules of a configuration, compiled once.

    Parameters:
      rules: In the order in which they run.
      no_answers: Words that name no recipient, besides those that are built in; folded.

    Raises:
      ValueError: A rule lacks the target of its action.
      BadTemplate: A template does not compile.
    """

    def __init__(self, rules: Sequence[Rule], no_answers: frozenset[str] = frozenset()) -> None:
        self._rules = tuple(_CompiledRule(rule, no_answers) for rule in rules)

    def plan(self, source: str, event: Event, skip: frozenset[str] = frozenset()) -> EventPlan:
        """Decide which jobs an event creates.

        Parameters:
          source: Name of the source that sent the event.
          event: The event.
          skip: Names of rules not to run (in a replay: those that already have a job).

        Returns:
          Drafts and results. A rule whose `when` fails creates no job: only a condition that is
          known to be true may send.
        """
        variables = {"event": event.body, "object": event.object}
        drafts: list[JobDraft] = []
        results: list[RuleResult] = []
        for compiled in self._rules:
            rule = compiled.rule
            if rule.name in skip or not compiled.matches(source, event.type):
                continue
            results.append(compiled.evaluate(variables))
            if results[-1].outcome == "matched":
                drafts.append(compiled.draft(variables))
        return EventPlan(tuple(drafts), tuple(results))


def _note(result: RuleResult, failure: Failure | None) -> dict[str, str | None]:
    if failure is None:
        return result.as_dict()
    field, _, _ = failure.message.partition(":")
    message = f"{field}: could not be used; the error of the job says why"
    return {
        "rule": result.rule,
        "outcome": "rejected",
        "message": message,
        "code": failure.code,
    }


def mismatch(rule: Rule, source: str, event_type: str) -> str | None:
    """Explain why a rule does not match an event; None if it does.

    Parameters:
      rule: The rule.
      source: Name of the source that sent the event.
      event_type: The event's type.
    """
    if rule.source != source:
        return f"it is for the source {rule.source!r}"
    if not compile_patterns(rule.event)(event_type):
        return f"it is for events of type {' or '.join(map(repr, rule.event))}"
    return None


class _CompiledRule:
    def __init__(self, rule: Rule, no_answers: frozenset[str]) -> None:
        target = rule.to if rule.action == "dm" else rule.post
        if target is None:
            field = "to" if rule.action == "dm" else "post"
            raise ValueError(f"rule {rule.name!r} needs {field!r} for its action")
        self.rule = rule
        self._matches_type = compile_patterns(rule.event)
        self._when = Condition(rule.when) if rule.when is not None else None
        self._to = RecipientTemplate(target, no_answers)
        self._post = Template(target)
        # Leave room for surrounding white space, which is stripped.
        room = 2 * MAX_TEXT_CHARACTERS[rule.action]
        self._text = Message(rule.text, max_output=room)
        self._too_long = Failure(
            "text_too_long",
            f"text: has more than {room} characters, and {most_characters(rule.action)}",
        )
        self._once_per = tuple(Template(template) for template in rule.once_per)
        self._delay = optional_template(rule.delay)
        self._expires = optional_template(rule.expires)
        self._matched = RuleResult(rule.name, "matched")
        self._when_false = RuleResult(rule.name, "when_false")
        self._blank_draft = JobDraft(
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
        """Whether the rule applies to the event (`mismatch` explains why not)."""
        return self.rule.source == source and self._matches_type(event_type)

    def evaluate(self, variables: Mapping[str, Any]) -> RuleResult:
        """Evaluate `when`."""
        try:
            holds = self._when is None or self._when.holds(variables)
        except TemplateFailed as error:
            return RuleResult(self.rule.name, "when_error", f"when: {error}")
        return self._matched if holds else self._when_false

    def draft(self, variables: Mapping[str, Any]) -> JobDraft:
        """Return the job; one whose field cannot be resolved is rejected and has no business key.

        The key stays free, so that a later event about the same fact can still create the job.
        """
        try:
            return self._build_draft(variables)
        except FieldError as error:
            return self._blank_draft._replace(failure=error.failure)

    def _build_draft(self, variables: Mapping[str, Any]) -> JobDraft:
        rule = self.rule
        to, post = self._resolve_target(variables)
        text = self._resolve_text(variables)
        once_key, once_fallbacks = self._resolve_once_keys(variables)
        delay_ms = duration("delay", self._delay, variables) or 0
        expires_ms = duration("expires", self._expires, variables)
        if expires_ms is not None and expires_ms <= delay_ms:
            raise FieldError(
                "expires_before_run", "expires: the job would expire before it may run"
            )
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
            once_fallbacks=once_fallbacks,
            dry_run=rule.dry_run,
        )

    def _resolve_target(self, variables: Mapping[str, Any]) -> tuple[str | None, str | None]:
        if self.rule.action == "dm":
            return self._resolve_recipient(variables), None
        raw = render("post", self._post, variables)
        return None, convert("post", "invalid_post", normalise_post, raw)

    def _resolve_recipient(self, variables: Mapping[str, Any]) -> str:
        try:
            return self._to.resolve(variables)
        except TemplateFailed as error:
            raise FieldError("template_failed", f"to: {error}") from error
        except ValueError as error:
            raise FieldError("invalid_recipient", f"to: {error}") from error

    def _resolve_text(self, variables: Mapping[str, Any]) -> str:
        text = render("text", self._text, variables, too_long=self._too_long)
        if not text:
            raise FieldError("empty_text", "text: is empty")
        if too_long := excess(self.rule.action, text):
            raise FieldError("text_too_long", f"text: {too_long}")
        return text

    def _resolve_once_keys(
        self, variables: Mapping[str, Any]
    ) -> tuple[str | None, tuple[str, ...]]:
        if not self._once_per:
            return None, ()
        key, *fallbacks = self._business_keys(variables)
        if not 0 < len(key) <= MAX_ONCE_KEY:
            message = f"once_per: is empty or longer than {MAX_ONCE_KEY} characters"
            raise FieldError("invalid_once_per", message)
        return key, tuple(each for each in fallbacks if len(each) <= MAX_ONCE_KEY)

    def _business_keys(self, variables: Mapping[str, Any]) -> Sequence[str]:
        """Return the keys that have a value; if none has, the last template says why."""
        keys = [render_or_empty(template, variables) for template in self._once_per]
        found = list(dict.fromkeys(filter(None, keys)))
        return found or [render("once_per", self._once_per[-1], variables)]
