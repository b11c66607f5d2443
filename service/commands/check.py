"""`heliograph check`: validates the configuration, and shows which jobs an event would create.

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

from service.commands.check_warnings import config_warnings
from service.config.config import Config, ConfigError, Source, load_config
from service.events.parsing import InvalidEvent, ParsedEvent, parse
from service.events.rules import EventPlan, RuleResult, RuleSet, mismatch
from service.instagram.limits import cautions
from service.jobs.model import JobDraft
from service.time_formats.durations import format_duration_ms

OK, FOUND_PROBLEMS, USAGE = 0, 1, 2
DEFAULT_CONFIG: Final = "heliograph.toml"

_PLACEHOLDER_ID: Final = b"check"
#: Headers that identify an event, and those that have its type.
_ID_HEADERS: Final = (b"webhook-id", b"x-github-delivery", b"x-shopify-webhook-id")
_STANDARD_HEADERS: Final = (b"webhook-timestamp", b"webhook-signature")
#: The file says itself whether it is JSON.
_FORM: Final = (b"content-type", b"application/x-www-form-urlencoded")
_TYPE_HEADERS: Final[Mapping[str, bytes]] = {
    "github": b"x-github-event",
    "shopify": b"x-shopify-topic",
}


class UsageError(Exception):
    """The command line is wrong; the message says what the command needs."""


@dataclass(frozen=True)
class RuleDryRun:
    """What the rules would do with one event.

    Parameters:
      source: Name of the source.
      event: The event.
      plan: The drafts, and the results of the rules that match the event.
      not_matching: Why each of the other rules does not match, by rule name.
      ignored: Why the event would be recorded but create no job at all.
    """

    source: str
    event: ParsedEvent
    plan: EventPlan
    not_matching: Mapping[str, str]
    ignored: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--config",
        type=Path,
        default=Path(os.environ.get("HELIOGRAPH_CONFIG") or DEFAULT_CONFIG),
        help="the configuration file (default: $HELIOGRAPH_CONFIG, or heliograph.toml)",
    )
    parser.add_argument("--event", metavar="FILE", help="a file with a webhook's body; - for stdin")
    parser.add_argument(
        "--source", help="the source that sent it; required if several are configured"
    )
    parser.add_argument(
        "--type", help="its type, for sources that send it in a header (github, shopify)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Check the configuration, and dry-run the rules on an event if one is given.

    Parameters:
      arguments: As declared by `add_arguments`.

    Returns:
      0 if all is well, 1 if the configuration or the event is invalid, 2 for wrong usage.
    """
    try:
        config = load_config(arguments.config)
        dry_run = _dry_run(config, arguments) if arguments.event else None
    except ConfigError as error:
        return _report_problems(error, as_json=arguments.json)
    except UsageError as error:
        sys.stderr.write(f"heliograph check: {error}\n")
        return USAGE
    except InvalidEvent as error:
        sys.stderr.write(f"heliograph check: the event would be quarantined: {error}\n")
        return FOUND_PROBLEMS
    warnings = list(config_warnings(config, os.environ))
    if arguments.json:
        _write_json(_as_document(config, warnings, dry_run))
    else:
        sys.stdout.writelines(f"{line}\n" for line in _as_lines(config, warnings, dry_run))
    return OK


def _dry_run(config: Config, arguments: argparse.Namespace) -> RuleDryRun:
    name = _source_name(config, arguments.source)
    scheme = config.sources[name].scheme
    event = parse(
        scheme,
        _read_event(arguments.event),
        _headers(scheme, arguments.type),
        config.sources[name].type_path,
    )
    ignored = _livemode_conflict(config.sources[name], event)
    if ignored:
        return RuleDryRun(name, event, EventPlan((), ()), {}, ignored)
    not_matching = {rule.name: mismatch(rule, name, event.type) for rule in config.rules}
    return RuleDryRun(
        source=name,
        event=event,
        plan=RuleSet(config.rules, config.recipients.folded).plan(name, event),
        not_matching={rule: reason for rule, reason in not_matching.items() if reason},
    )


def _livemode_conflict(source: Source, event: ParsedEvent) -> str | None:
    if source.livemode is None or event.livemode is source.livemode:
        return None
    expected = str(source.livemode).lower()
    return f"ignored: the source accepts only events with livemode {expected}"


def _source_name(config: Config, given: str | None) -> str:
    known = ", ".join(config.sources) or "none"
    if given is None and len(config.sources) != 1:
        raise UsageError(f"which source sent the event? Add --source NAME (configured: {known})")
    name = given if given is not None else next(iter(config.sources))
    if name not in config.sources:
        raise UsageError(f"there is no source {name!r} (configured: {known})")
    return name


def _read_event(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or 'cannot be read'}") from error


def _headers(scheme: str, event_type: str | None) -> list[tuple[bytes, bytes]]:
    headers = [_FORM, *((name, _PLACEHOLDER_ID) for name in (*_ID_HEADERS, *_STANDARD_HEADERS))]
    type_header = _TYPE_HEADERS.get(scheme)
    if type_header is None:
        return headers
    if event_type is None:
        raise UsageError(f"{scheme} sends the type of an event in a header: add --type TYPE")
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
    config: Config, warnings: Sequence[str], dry_run: RuleDryRun | None
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "ok": True,
        "counts": {f"{noun}s": count for noun, count in _counts(config).items()},
        "warnings": list(warnings),
    }
    if dry_run is not None:
        event = dry_run.event
        document["event"] = {
            "id": event.id,
            "type": event.type,
            "source": dry_run.source,
            "ignored": dry_run.ignored,
        }
        document["jobs"] = list(map(_job_document, dry_run.plan.drafts))
        document["rules"] = [
            *(dataclasses.asdict(result) for result in dry_run.plan.results),
            *(
                {"rule": rule, "outcome": "not_matching", "message": reason}
                for rule, reason in dry_run.not_matching.items()
            ),
        ]
    return document


def _job_document(draft: JobDraft) -> dict[str, Any]:
    failure = None if draft.failure is None else dataclasses.asdict(draft.failure)
    warnings = (
        [] if draft.failure else [f"text: {each}" for each in cautions(draft.kind, draft.text)]
    )
    return {**draft._asdict(), "failure": failure, "warnings": warnings}


def _as_lines(config: Config, warnings: Sequence[str], dry_run: RuleDryRun | None) -> Iterator[str]:
    counts = (
        f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in _counts(config).items()
    )
    yield f"ok: {', '.join(counts)}"
    yield from (f"warning: {warning}" for warning in warnings)
    if dry_run is None:
        return
    event = dry_run.event
    yield f"event {event.id} ({event.type}) from {dry_run.source}:"
    if not dry_run.plan.drafts:
        yield f"  {dry_run.ignored or 'no job'}"
    for draft in dry_run.plan.drafts:
        yield from _job_lines(draft)
    yield from (line for result in dry_run.plan.results for line in _result_lines(result))
    yield from (f"  rule {rule}: no job: {why}" for rule, why in dry_run.not_matching.items())


def _job_lines(draft: JobDraft) -> Iterator[str]:
    yield f"  rule {draft.rule}: {draft.kind} as {draft.account}"
    if draft.failure is not None:
        yield f"    rejected at creation: {draft.failure.code}: {draft.failure.message}"
    else:
        expires = "never" if draft.expires_ms is None else format_duration_ms(draft.expires_ms)
        yield f"    to:       {draft.to}" if draft.to else f"    post:     {draft.post}"
        yield f"    text:     {draft.text!r}"
        yield from (f"    warning:  text: {each}" for each in cautions(draft.kind, draft.text))
        yield f"    runs:     {_start_text(draft.delay_ms)}"
        yield f"    expires:  {expires}"
        if draft.once_key is not None:
            yield f"    once per: {draft.once_key}"
    if draft.callback is not None:
        yield f"    callback: {draft.callback}"


def _start_text(delay_ms: int) -> str:
    return f"in {format_duration_ms(delay_ms)}" if delay_ms else "at once, within the rate limits"


def _result_lines(result: RuleResult) -> Iterator[str]:
    if result.outcome == "when_false":
        yield f"  rule {result.rule}: no job: `when` is false"
    elif result.outcome == "when_error":
        yield f"  rule {result.rule}: no job: {result.message}"
