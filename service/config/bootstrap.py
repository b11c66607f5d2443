"""What every process does first: no core dumps, the environment, the configuration, logging."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from service.config.bound_keys import bound_key_problems
from service.config.config import Config, ConfigError, load_config, redactions
from service.config.reused_secrets import reused_secrets
from service.config.settings import Settings, SettingsError, load_settings
from service.logging.setup import configure_logging
from service.process.core_dumps import disable_core_dumps


def boot(environ: Mapping[str, str] = os.environ) -> tuple[Settings, Config]:
    """Read settings and configuration, set up logging, write no core dumps; or stop the process.

    Parameters:
      environ: The environment.

    Raises:
      SystemExit: Something is missing or unusable; the message has one line for each variable, or
        one line for the configuration file.
    """
    disable_core_dumps()
    try:
        settings = load_settings(environ)
        config = load_config(settings.config_path)
    except SettingsError as error:
        lines = [f"heliograph cannot start: {problem}" for problem in error.problems]
        raise SystemExit("\n".join(lines)) from None
    except ConfigError as error:
        wrong = "; ".join(map(str, error.problems))
        file = settings.config_path.name
        raise SystemExit(f"heliograph cannot start: {file}: {wrong}") from None
    problems = (*bound_key_problems(settings.api_keys, config), *reused_secrets(config, environ))
    if problems:
        raise SystemExit("\n".join(f"heliograph cannot start: {problem}" for problem in problems))
    configure_logging(settings.log_format, {*_own_secrets(settings), *redactions(config, environ)})
    return settings, config


def _own_secrets(settings: Settings) -> set[str]:
    password = urlsplit(settings.redis_url).password or ""
    keys = {*settings.secret_keys, *(key.secret for key in settings.api_keys)}
    return {*keys, settings.metrics_key or "", password, unquote(password)}
