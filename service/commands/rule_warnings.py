"""Warnings of `heliograph check` about rules that real senders' events do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from service.commands.nullable_keys import find_nullable_keys
from service.config.config import Config, Rule
from service.events.parsing import ONLY_BODY_SIGNED
from service.events.type_patterns import compile_patterns
from service.templates.templates import Template, TemplateFailed

_COMPLETED = "checkout.session.completed"
_PAID_LATER = "checkout.session.async_payment_succeeded"


def rule_warnings(config: Config) -> Iterator[str]:
    """Yield the warnings, a sentence each; none is about the environment."""
    for rule in config.rules:
        key, scheme = f"rules.{rule.name}", config.sources[rule.source].scheme
        if scheme in ONLY_BODY_SIGNED and not rule.once_per:
            yield (
                f"{key}.once_per: is missing; {scheme} signs only the body, so that a captured one"
                " can be sent again once RETENTION_DAYS are over: name a key of the body, such as"
                ' "{{ object.id }}"'
            )
        yield from _shared_key_warnings(key, rule)
        if scheme == "stripe":
            yield from _nullable_key_warnings(key, rule)
            yield from _late_payment_warnings(key, rule, config)


def _shared_key_warnings(key: str, rule: Rule) -> Iterator[str]:
    """Warn of business keys that have a value even for an event without anything in it."""
    for template in rule.once_per:
        with suppress(TemplateFailed):
            shared = Template(template).render({"event": {}, "object": {}}).strip()
            if shared:
                yield (
                    f"{key}.once_per: all events without what {template!r} reads have the key"
                    f" {shared!r}, and make one job together: use a list of keys, not a default"
                )


def _nullable_key_warnings(key: str, rule: Rule) -> Iterator[str]:
    matches = compile_patterns(rule.event)
    for field, template in _templates(rule, matches):
        for path, when in find_nullable_keys(matches, template):
            yield f"{key}.{field}: object.{path} is null {when}; {_remedy(field)}"


def _templates(rule: Rule, matches: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    given = {field: getattr(rule, field) for field in ("to", "post", "text", "delay", "expires")}
    given["when"] = rule.when and f"{{% if {rule.when} %}}{{% endif %}}"
    given["once_per"] = _last_key(rule, matches)
    return ((field, template) for field, template in given.items() if template is not None)


def _last_key(rule: Rule, matches: Callable[[str], bool]) -> str | None:
    """Return the last business key, if none is always there: a failure is about the last."""
    if any(not list(find_nullable_keys(matches, key)) for key in rule.once_per):
        return None
    return rule.once_per[-1] if rule.once_per else None


def _remedy(field: str) -> str:
    if field == "once_per":
        return 'give a list of keys that ends with one that is always there, "{{ object.id }}"'
    if field == "when":
        return "the rule then creates no job; write `(... | default('', true))` if it should"
    return "add `| default('...', true)`, or `{% if %}`"


def _late_payment_warnings(key: str, rule: Rule, config: Config) -> Iterator[str]:
    """Warn of a rule that waits for the payment, but not for the event that reports it."""
    if rule.when is None or "payment_status" not in rule.when:
        return
    if not compile_patterns(rule.event)(_COMPLETED):
        return
    others = (other.event for other in config.rules if other.source == rule.source)
    if not any(compile_patterns(event)(_PAID_LATER) for event in others):
        yield (
            f"{key}.event: bank debits and vouchers are paid after {_COMPLETED}, as {_PAID_LATER}"
            " reports: make it a list of both"
        )
