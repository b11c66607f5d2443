"""The environment, read once at boot into one frozen value."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from redis import ConnectionPool, RedisError

from service.network.ip_filter import parse_cidrs

MIN_SECRET_LENGTH: Final = 32
MIN_API_KEY_LENGTH: Final = 16
DEFAULT_CONFIG: Final = "heliograph.toml"

#: Stripe retries for 3 days and others for longer: a tombstone must outlive every sender.
MIN_RETENTION_DAYS: Final = 35

#: What a header can carry.
_API_KEY: Final = re.compile(rf"[\x21-\x7e]{{{MIN_API_KEY_LENGTH},}}")

T = TypeVar("T")


class SettingsError(Exception):
    """A variable is missing or unusable; the message names it and says what it should be."""


@dataclass(frozen=True)
class Settings:
    """Everything a process takes from its environment.

    Parameters:
      redis_url: Where the ledger and the broker live.
      config_path: The heliograph.toml to load.
      secret_keys: Keys for what is encrypted at rest; the first encrypts, all decrypt.
      api_keys: Bearer key by the name it was given.
      port: What the web process binds.
      web_concurrency: Web processes.
      worker_concurrency: Messages in flight per queue in one worker process.
      lease_seconds: How long a claim lives without a renewal.
      settle_seconds: How long a write whose end is unknown is left alone before it is looked up.
      stop_seconds: How long a worker that is told to stop lets its work end by itself.
      retention_days: How long ended jobs, deliveries and events are remembered.
      body_retention_days: How long event bodies and message texts are kept.
      max_body_bytes: The largest webhook body accepted.
      body_seconds: How long a sender may take over a request's body.
      metrics_seconds: How often a process reports what it measures of itself.
    """

    redis_url: str = field(repr=False)
    config_path: Path
    secret_keys: tuple[str, ...] = field(repr=False)
    api_keys: Mapping[str, str] = field(repr=False)
    port: int = 8000
    web_concurrency: int = 1
    worker_concurrency: int = 1000
    lease_seconds: float = 10
    settle_seconds: float = 5
    stop_seconds: float = 14
    instagram_ca_bundle: str | None = None
    human_pace: bool = True
    callback_allow: tuple[IPv4Network | IPv6Network, ...] = ()
    callback_allow_http: bool = False
    callback_ca_bundle: str | None = None
    dry_run: bool = False
    log_format: str = "json"
    retention_days: int = 40
    body_retention_days: int = 7
    max_body_bytes: int = 1024 * 1024
    body_seconds: float = 10
    metrics_seconds: float = 5


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from the environment.

    Parameters:
      environ: The variables; an empty value counts as missing.

    Raises:
      SettingsError: A variable is missing or unusable.
    """
    read = _Reader(environ)
    return Settings(
        redis_url=read("REDIS_URL", _redis_url),
        config_path=read("HELIOGRAPH_CONFIG", _existing_file, DEFAULT_CONFIG),
        secret_keys=read("SECRET_KEY", _secret_keys),
        api_keys=read("API_KEYS", _api_keys),
        port=read("PORT", _whole(0, 65535), "8000"),
        web_concurrency=read("WEB_CONCURRENCY", _whole(1, 64), "1"),
        worker_concurrency=read("WORKER_CONCURRENCY", _whole(1, 20000), "1000"),
        lease_seconds=read("LEASE_SECONDS", _seconds(0.5, 300), "10"),
        settle_seconds=read("SETTLE_SECONDS", _seconds(0, 300), "5"),
        stop_seconds=read("STOP_SECONDS", _seconds(0, 20), "14"),
        instagram_ca_bundle=read.optional("INSTAGRAM_CA_BUNDLE", _existing_path),
        human_pace=read("INSTAGRAM_HUMAN_PACE", _switch, "on"),
        callback_allow=read("CALLBACK_ALLOW_CIDRS", parse_cidrs, ","),
        callback_allow_http=read("CALLBACK_ALLOW_HTTP", _switch, "off"),
        callback_ca_bundle=read.optional("CALLBACK_CA_BUNDLE", _existing_path),
        dry_run=read("DRY_RUN", _switch, "off"),
        log_format=read("LOG_FORMAT", _one_of("json", "console"), "json"),
        retention_days=read("RETENTION_DAYS", _whole(MIN_RETENTION_DAYS, 3650), "40"),
        body_retention_days=read("BODY_RETENTION_DAYS", _whole(1, 3650), "7"),
        max_body_bytes=read("MAX_BODY_BYTES", _whole(1024, 64 * 1024 * 1024), str(1024 * 1024)),
        body_seconds=read("BODY_SECONDS", _seconds(0.05, 300), "10"),
        metrics_seconds=read("METRICS_SECONDS", _seconds(0.05, 3600), "5"),
    )


class _Reader:
    """Reads one variable after another, naming the one that fails."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __call__(self, name: str, parse: Callable[[str], T], default: str | None = None) -> T:
        value = self._environ.get(name, "").strip() or default
        if value is None:
            raise SettingsError(f"{name} is not set")
        try:
            return parse(value)
        except ValueError as error:
            raise SettingsError(f"{name} {error}") from None

    def optional(self, name: str, parse: Callable[[str], T]) -> T | None:
        return self(name, parse) if self._environ.get(name, "").strip() else None


def _redis_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.port != 0 and (bool(parts.hostname) or parts.scheme == "unix")
    except ValueError:
        usable = False
    else:
        usable = usable and parts.scheme in ("redis", "rediss", "unix")
    if not usable:
        raise ValueError("must be a URL such as redis://localhost:6379/0 or rediss://...")
    _check_redis_options(value)
    return value


def _check_redis_options(url: str) -> None:
    # The client itself would find out with its first connection, long after boot.
    try:
        ConnectionPool.from_url(url).make_connection()
    except (TypeError, ValueError, RedisError):
        known = "must have no options that the Redis client does not know (what follows the `?`)"
    else:
        return
    raise ValueError(known)  # outside the handler: that error may carry the URL


def _existing_file(value: str) -> Path:
    path = Path(value)
    if not path.is_file():
        raise ValueError(f"must name a heliograph.toml that can be read; {value!r} is not a file")
    return path


def _existing_path(value: str) -> str:
    if not Path(value).exists():
        raise ValueError(f"must name a file that exists; {value!r} does not")
    return value


def _secret_keys(value: str) -> tuple[str, ...]:
    keys = tuple(part.strip() for part in value.split(","))
    if any(len(key) < MIN_SECRET_LENGTH for key in keys):
        raise ValueError(
            f"must be {MIN_SECRET_LENGTH} characters or more (each, where several are given,"
            " comma-separated); `openssl rand -hex 32` makes one"
        )
    return keys


def _api_keys(value: str) -> Mapping[str, str]:
    keys: dict[str, str] = {}
    for pair in value.split(","):
        name, separator, key = (part.strip() for part in pair.partition(":"))
        if not separator or not name or not _API_KEY.fullmatch(key):
            raise ValueError(
                "must be name:key pairs, comma-separated, each key of"
                f" {MIN_API_KEY_LENGTH} or more ASCII characters without spaces"
            )
        if name in keys:
            raise ValueError(f"names {name!r} twice")
        keys[name] = key
    return keys


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not (value.isascii() and value.isdigit() and low <= int(value) <= high):
            raise ValueError(f"must be a whole number from {low} to {high}, not {value[:20]!r}")
        return int(value)

    return parse


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(value: str) -> float:
        message = f"must be seconds from {low:g} to {high:g}, not {value[:20]!r}"
        try:
            seconds = float(value)
        except ValueError:
            raise ValueError(message) from None
        if not low <= seconds <= high:
            raise ValueError(message)
        return seconds

    return parse


def _switch(value: str) -> bool:
    on, off = ("1", "on", "true", "yes"), ("0", "off", "false", "no")
    if value.lower() not in (*on, *off):
        raise ValueError(f"must be on or off, not {value[:20]!r}")
    return value.lower() in on


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"must be {' or '.join(choices)}, not {value[:20]!r}")
        return value

    return parse
