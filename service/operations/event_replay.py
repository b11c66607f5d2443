"""What a replay of a stored event makes: jobs of the rules that have none for it, and of those
whose job was rejected at creation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, NamedTuple

import orjson

from service.config.config import Config
from service.encryption.cipher import Unreadable
from service.events.parsing import parse_stored
from service.events.rules import RuleResult, RuleSet
from service.jobs.lua.hash_encoding import RECORD_VERSION
from service.jobs.model import JobDraft
from service.jobs.queries import JobQueries
from service.jobs.records import EventRecord
from service.operations.model import PROBLEMS

#: The most notes that an event keeps.
_MAX_NOTES: Final = 100

FindingOutcome = Literal[
    "would_create", "would_replace", "has_job", "rejected", "when_false", "when_error"
]


class RuleFinding(NamedTuple):
    """What a replay would make of one rule.

    Parameters:
      rule: Its name.
      outcome: What would happen.
      message: Why nothing would; None where something does.
      job_id: The job that it has.
      draft: The job that it would get.
    """

    rule: str
    outcome: FindingOutcome
    message: str | None = None
    job_id: str | None = None
    draft: JobDraft | None = None

    def public(self) -> dict[str, Any]:
        """The finding as the API shows it, without the text."""
        return {
            "rule": self.rule,
            "outcome": self.outcome,
            "message": self.message,
            "job_id": self.job_id,
            "kind": self.draft.kind if self.draft else None,
            "account": self.draft.account if self.draft else None,
            "to": self.draft.to if self.draft else None,
            "post": self.draft.post if self.draft else None,
        }


@dataclass(frozen=True)
class EventReplay:
    """What a replay makes of one event.

    Parameters:
      source: Its source.
      event_id: Its id.
      problem: Why no rule can run, a word of `model.PROBLEMS`; empty if they can.
      drafts: The jobs; those of rules that cannot fill them in among them.
      notes: What the event says of its rules afterwards.
      findings: What would happen, rule by rule.
    """

    source: str
    event_id: str
    problem: str = ""
    drafts: Sequence[JobDraft] = ()
    notes: Sequence[dict[str, Any]] = ()
    findings: Sequence[RuleFinding] = ()

    @property
    def makes_jobs(self) -> bool:
        """Whether a job would be created or filled in."""
        return any(each.outcome in ("would_create", "would_replace") for each in self.findings)

    @property
    def outcome(self) -> str:
        """The outcome where no job is made."""
        outcomes = {finding.outcome for finding in self.findings}
        failed = next((each for each in ("rejected", "when_error") if each in outcomes), "")
        return self.problem or failed or "unchanged"

    @property
    def summary(self) -> str:
        """What would become of it, in a word."""
        return "would_make_jobs" if self.makes_jobs else self.outcome

    def public(self) -> dict[str, Any]:
        """The event in a dry run."""
        return {
            "source": self.source,
            "event_id": self.event_id,
            "outcome": self.summary,
            "message": PROBLEMS.get(self.summary),
            "rules": [finding.public() for finding in self.findings],
        }


class ReplayPlanner:
    """Plans replays with the rules of a configuration.

    Parameters:
      config: The rules, and the schemes of their sources.
      queries: Reads events and their jobs.
      rules: The same rules, if they are compiled already.
    """

    def __init__(self, config: Config, queries: JobQueries, rules: RuleSet | None = None) -> None:
        self._config = config
        self._queries = queries
        self._compiled = rules
        self._schemes = {name: source.scheme for name, source in config.sources.items()}
        #: Names of all rules.
        self.names: Final = frozenset(rule.name for rule in config.rules)

    @cached_property
    def _rules(self) -> RuleSet:
        return self._compiled or RuleSet(self._config.rules, self._config.recipients.folded)

    @cached_property
    def digest(self) -> str:
        """Tells these rules from others: an operation is driven by those it was planned with."""
        rules = [rule.model_dump(mode="json") for rule in self._config.rules]
        words = sorted(self._config.recipients.folded)
        text = orjson.dumps([rules, words, self._schemes], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(text).hexdigest()[:16]

    async def plan(
        self, event: EventRecord, rule: str = "", *, skip: frozenset[str] = frozenset()
    ) -> EventReplay:
        """Decide what a replay makes of an event.

        Parameters:
          event: The event.
          rule: The only rule to run; empty for all.
          skip: Names of rules not to run.
        """
        problem, body = await self._readable_body(event)
        if body is None:
            return EventReplay(event.source, event.id, problem)
        has_job, rejected = await self._jobs_by_rule(event)
        others = skip | (self.names - {rule} if rule else frozenset())
        parsed = parse_stored(self._schemes[event.source], event.id, event.type, body)
        planned = self._rules.plan(event.source, parsed, skip=frozenset(has_job) | others)
        known = [
            RuleFinding(name, "has_job", "It has a job for this event.", job_id)
            for name, job_id in has_job.items()
            if name not in others
        ]
        findings = _findings(planned.results, planned.drafts, rejected)
        return EventReplay(
            source=event.source,
            event_id=event.id,
            drafts=planned.drafts,
            notes=_with_notes(event.notes, planned.notes()),
            findings=[*known, *findings],
        )

    async def _readable_body(self, event: EventRecord) -> tuple[str, bytes | None]:
        """Why an event cannot be replayed, or its body."""
        if event.status != "accepted":
            return "not_replayable", None
        if event.version > RECORD_VERSION:
            return "newer_release", None
        if event.source not in self._schemes:
            return "source_gone", None
        try:
            body = await self._queries.event_body(event.source, event.id)
        except Unreadable:
            return "body_unreadable", None
        return ("body_gone", None) if body is None else ("", body)

    async def _jobs_by_rule(self, event: EventRecord) -> tuple[dict[str, str], dict[str, str]]:
        """The rules that have a job for an event, and those whose jobs were all rejected."""
        has_job: dict[str, str] = {}
        rejected: dict[str, str] = {}
        for record in await self._queries.records(event.jobs):
            found = rejected if record.rejected_at_creation else has_job
            found[str(record.source.get("rule") or "")] = record.id
        return has_job, {name: each for name, each in rejected.items() if name not in has_job}


def _with_notes(
    notes: Sequence[dict[str, Any]], latest: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What an event says of its rules: of one that was run again, the latest."""
    run_again = {note["rule"] for note in latest}
    return [*(note for note in notes if note["rule"] not in run_again), *latest][-_MAX_NOTES:]


def _findings(
    results: Sequence[RuleResult], drafts: Sequence[JobDraft], rejected: Mapping[str, str]
) -> list[RuleFinding]:
    by_rule = {draft.rule: draft for draft in drafts}
    return [_finding(result, by_rule.get(result.rule), rejected) for result in results]


def _finding(
    result: RuleResult, draft: JobDraft | None, rejected: Mapping[str, str]
) -> RuleFinding:
    job_id = rejected.get(result.rule)
    if draft is None:
        outcome: FindingOutcome = "when_error" if result.outcome == "when_error" else "when_false"
        message = result.message or "Its `when` is false for this event."
        return RuleFinding(result.rule, outcome, message, job_id)
    if draft.failure is not None:
        return RuleFinding(result.rule, "rejected", draft.failure.message, job_id)
    outcome = "would_create" if job_id is None else "would_replace"
    return RuleFinding(result.rule, outcome, None, job_id, draft)
