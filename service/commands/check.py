"""`heliograph check`: is the configuration right, and what would it make of an event?

Needs neither Redis nor Instagram nor any secret.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from service.commands.check_warnings import warnings_of
from service.config.config import Config, ConfigError, Source, load_config
from service.events.parsing import InvalidEvent, ParsedEvent, parse
from service.events.rules import EventPlan, RuleResult, RuleSet, mismatch
from service.jobs.model import JobDraft
from service.time_formats.durations import format_duration_ms

OK, FOUND_PROBLEMS, USAGE = 0, 1, 2
DEFAULT_CONFIG: Final = "heliograph.toml"

_PLACEHOLDER_ID: Final = b"check"
#: Headers that carry the identity of an event, and those that carry its type.
_ID_HEADERS: Final = (b"webhook-id", b"x-github-delivery", b"x-shopify-webhook-id")
_STANDARD_HEADERS: Final = (b"webhook-timestamp", b"webhook-signature")
_TYPE_HEADERS: Final[Mapping[str, bytes]] = {
    "github": b"x-github-event",
    "shopify": b"x-shopify-topic",
}


class UsageError(Exception):
    """The command was given what it cannot work with; the message says what it needs."""


@dataclass(frozen=True)
class RuleDryRun:
    """What the rules would make of one event.

    Parameters:
      source: Name of the source.
      event: The event.
      plan: The drafts, and the results of the rules that apply.
      silent: Why each of the other rules does not apply.
      ignored: Why the event would be recorded but make no job at all.
    """

    source: str
    event: ParsedEvent
    plan: EventPlan
    silent: Mapping[str, str]
    ignored: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(os.environ.get("HELIOGRAPH_CONFIG") or DEFAULT_CONFIG),
        help="the configuration file (default: $HELIOGRAPH_CONFIG, or heliograph.toml)",
    )
    parser.add_argument("--event", metavar="FILE", help="a webhook's JSON body; - for stdin")
    parser.add_argument("--source", help="the source that sent it; needed when there are several")
    parser.add_argument("--type", help="its type, where a header carries it (github, shopify)")
    parser.add_argument("--json", action="store_true", help="write one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Check the configuration, and rehearse an event if one is given.

    Parameters:
      arguments: What `add_arguments` declares.

    Returns:
      0 when all is well, 1 when the configuration or the event cannot be used, 2 when the
      command was not given what it needs.
    """
    try:
        config = load_config(arguments.config)
        rehearsal = _dry_run(config, arguments) if arguments.event else None
    except ConfigError as error:
        return _report_problems(error, as_json=arguments.json)
    except UsageError as error:
        sys.stderr.write(f"heliograph check: {error}\n")
        return USAGE
    except InvalidEvent as error:
        sys.stderr.write(f"heliograph check: the event would be quarantined: {error}\n")
        return FOUND_PROBLEMS
    warnings = list(warnings_of(config, os.environ))
    if arguments.json:
        _write_json(_as_document(config, warnings, rehearsal))
    else:
        sys.stdout.writelines(f"{line}\n" for line in _as_lines(config, warnings, rehearsal))
    return OK


def _dry_run(config: Config, arguments: argparse.Namespace) -> RuleDryRun:
    name = _source_name(config, arguments.source)
    scheme = config.sources[name].scheme
    event = parse(scheme, _read_event(arguments.event), _headers(scheme, arguments.type))
    ignored = _mode_conflict(config.sources[name], event)
    if ignored:
        return RuleDryRun(name, event, EventPlan((), ()), {}, ignored)
    silent = {rule.name: mismatch(rule, name, event.type) for rule in config.rules}
    return RuleDryRun(
        source=name,
        event=event,
        plan=RuleSet(config.rules).plan(name, event),
        silent={rule: reason for rule, reason in silent.items() if reason},
    )


def _mode_conflict(source: Source, event: ParsedEvent) -> str | None:
    if source.livemode is None or event.livemode is source.livemode:
        return None
    expected = str(source.livemode).lower()
    return f"ignored: the source accepts only events with livemode {expected}"


def _source_name(config: Config, given: str | None) -> str:
    known = ", ".join(config.sources) or "none"
    if given is None and len(config.sources) != 1:
        raise UsageError(f"name the event's source with --source NAME (configured: {known})")
    name = given if given is not None else next(iter(config.sources))
    if name not in config.sources:
        raise UsageError(f"there is no source {name!r} (configured: {known})")
    return name


def _read_event(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or 'it cannot be read'}") from error


def _headers(scheme: str, event_type: str | None) -> list[tuple[bytes, bytes]]:
    headers = [(name, _PLACEHOLDER_ID) for name in (*_ID_HEADERS, *_STANDARD_HEADERS)]
    type_header = _TYPE_HEADERS.get(scheme)
    if type_header is None:
        return headers
    if event_type is None:
        raise UsageError(f"{scheme} sends the event's type in a header: give it with --type TYPE")
    return [*headers, (type_header, event_type.encode())]


def _report_problems(error: ConfigError, *, as_json: bool) -> int:
    if as_json:
        errors = [dataclasses.asdict(problem) for problem in error.problems]
        _write_json({"ok": False, "errors": errors})
    else:
        sys.stdout.writelines(f"{problem}\n" for problem in error.problems)
    return FOUND_PROBLEMS


def _write_json(document: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _counts(config: Config) -> dict[str, int]:
    return {
        "source": len(config.sources),
        "account": len(config.accounts),
        "callback": len(config.callbacks),
        "rule": len(config.rules),
    }


def _as_document(
    config: Config, warnings: Sequence[str], rehearsal: RuleDryRun | None
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "ok": True,
        "counts": {f"{noun}s": count for noun, count in _counts(config).items()},
        "warnings": list(warnings),
    }
    if rehearsal is not None:
        event = rehearsal.event
        document["event"] = {
            "id": event.id,
            "type": event.type,
            "source": rehearsal.source,
            "ignored": rehearsal.ignored,
        }
        document["jobs"] = list(map(_job_document, rehearsal.plan.drafts))
        document["rules"] = [
            *(dataclasses.asdict(note) for note in rehearsal.plan.notes),
            *(
                {"rule": rule, "outcome": "not_applicable", "message": reason}
                for rule, reason in rehearsal.silent.items()
            ),
        ]
    return document


def _job_document(draft: JobDraft) -> dict[str, Any]:
    failure = None if draft.failure is None else dataclasses.asdict(draft.failure)
    return {**draft._asdict(), "failure": failure}


def _as_lines(
    config: Config, warnings: Sequence[str], rehearsal: RuleDryRun | None
) -> Iterator[str]:
    counted = (
        f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in _counts(config).items()
    )
    yield f"ok: {', '.join(counted)}"
    yield from (f"warning: {warning}" for warning in warnings)
    if rehearsal is None:
        return
    event = rehearsal.event
    yield f"event {event.id} ({event.type}) from {rehearsal.source}:"
    if not rehearsal.plan.drafts:
        yield f"  {rehearsal.ignored or 'no job'}"
    for draft in rehearsal.plan.drafts:
        yield from _job_lines(draft)
    yield from (line for note in rehearsal.plan.notes for line in _note_lines(note))
    yield from (f"  rule {rule}: no job: {why}" for rule, why in rehearsal.silent.items())


def _job_lines(draft: JobDraft) -> Iterator[str]:
    yield f"  rule {draft.rule}: {draft.kind} as {draft.account}"
    if draft.failure is not None:
        yield f"    rejected at creation: {draft.failure.code}: {draft.failure.message}"
    else:
        expires = "never" if draft.expires_ms is None else format_duration_ms(draft.expires_ms)
        yield f"    to:       {draft.to}" if draft.to else f"    post:     {draft.post}"
        yield f"    text:     {draft.text!r}"
        yield f"    runs:     {_when(draft.delay_ms)}"
        yield f"    expires:  {expires}"
        if draft.once_key is not None:
            yield f"    once per: {draft.once_key}"
    if draft.callback is not None:
        yield f"    callback: {draft.callback}"


def _when(delay_ms: int) -> str:
    return (
        f"in {format_duration_ms(delay_ms)}" if delay_ms else "at once, within the account's limits"
    )


def _note_lines(note: RuleResult) -> Iterator[str]:
    if note.outcome == "when_false":
        yield f"  rule {note.rule}: no job: `when` is false"
    elif note.outcome == "when_error":
        yield f"  rule {note.rule}: no job: {note.message}"
