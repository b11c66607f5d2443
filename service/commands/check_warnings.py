"""Warnings of `heliograph check`: what would not work, with the current environment or at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from service.commands.rule_warnings import rule_warnings
from service.config.bound_keys import bound_key_problems
from service.config.config import Config, MissingVariable
from service.config.on_off import ON
from service.config.proxy_url import check_proxy
from service.config.reused_secrets import reused_secrets
from service.config.settings import SettingsError, load_settings
from service.config.unique_usernames import check_usernames
from service.credentials.api_keys import ApiKey, parse_api_keys
from service.deliveries.endpoints import CallbackEndpoints
from service.instagram.limits import cautions, excess
from service.signatures.secret_readings import is_damaged
from service.signatures.verify import check_secret
from service.templates.templates import is_constant


def config_warnings(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the warnings, a sentence each.

    Parameters:
      config: A valid configuration.
      environ: Stands in for the environment of the processes.
    """
    for _, value in config.references():
        try:
            value.resolve(environ)
        except MissingVariable as error:
            yield str(error)
    yield from _variable_warnings(environ)
    yield from bound_key_problems(_api_keys(environ), config)
    yield from reused_secrets(config, environ)
    yield from _text_warnings(config)
    yield from _secret_warnings(config, environ)
    yield from rule_warnings(config)
    yield from _worker_warnings(config, environ)


def _variable_warnings(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield problems of variables that are set; which are missing, the processes say."""
    try:
        load_settings(environ)
    except SettingsError as error:
        for problem in error.problems:
            name = problem.partition(" ")[0]
            if name != "HELIOGRAPH_CONFIG" and environ.get(name, "").strip():
                yield problem


def _api_keys(environ: Mapping[str, str]) -> tuple[ApiKey, ...]:
    try:
        return parse_api_keys(environ.get("API_KEYS", ""))
    except ValueError:  # `_variable_warnings` has said so
        return ()


def _text_warnings(config: Config) -> Iterator[str]:
    """Yield problems of texts that are the same for every event."""
    for rule in config.rules:
        if is_constant(rule.text):
            too_long = excess(rule.action, rule.text.strip())
            found = [too_long] if too_long else cautions(rule.action, rule.text.strip())
            yield from (f"rules.{rule.name}.text: {problem}" for problem in found)


def _secret_warnings(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    for name, source in config.sources.items():
        if not source.secrets:
            yield f"sources.{name}.secrets: is empty; until one is set, the source answers 503"
        for secret in source.secrets:
            try:
                value = secret.resolve(environ)
                check_secret(source.scheme, value)
            except MissingVariable:
                continue
            except ValueError as error:
                yield f"{secret.key}: {error}"
                continue
            if source.scheme == "standard-webhooks" and is_damaged(value):
                yield (
                    f"{secret.key}: the secret is not base64 after its whsec_ prefix, so it is read"
                    " as plain text; if the sender did not mean that, copy it again"
                )


def _worker_warnings(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield problems of usernames, proxies and callback URLs that would stop the worker at boot."""
    allow_http = environ.get("CALLBACK_ALLOW_HTTP", "").strip().lower() in ON
    for name, callback in config.callbacks.items():
        try:
            CallbackEndpoints({name: callback}, allow_http=allow_http).resolve(environ)
        except MissingVariable:
            continue
        except ValueError as error:
            yield str(error)
    try:
        check_usernames(
            {
                name: account.username.resolve(environ)
                for name, account in config.accounts.items()
                if account.username.literal or environ.get(account.username.variable or "")
            }
        )
    except ValueError as error:
        yield str(error)
    for proxy in filter(None, (account.proxy for account in config.accounts.values())):
        try:
            check_proxy(proxy.resolve(environ))
        except MissingVariable:
            continue
        except ValueError as error:
            yield f"{proxy.key}: {error}"
