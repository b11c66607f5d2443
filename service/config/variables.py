"""How the text of each environment variable is read and checked.

Every problem is a ValueError whose message continues the name of the variable ("PORT must be ...")
and never repeats a value that may be secret.
"""

from __future__ import annotations

import re
from math import nan
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import PlainValidator

from service.config.on_off import parse_on_off
from service.credentials.api_keys import (
    GUESSABLE,
    KEY_FORM,
    MIN_KEY_LENGTH,
    REMEDY,
    ApiKey,
    parse_api_keys,
)
from service.credentials.strength import MIN_ENCRYPTION_BITS, has_entropy
from service.network.ip_filter import Network, parse_cidrs

MIN_SECRET_LENGTH: Final = 32

#: Nine digits are more than any limit, and keep `int()` away from hostile lengths.
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,9}")


def _redis_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.port != 0 and (bool(parts.hostname) or parts.scheme == "unix")
    except ValueError:
        usable = False
    else:
        usable = usable and parts.scheme in ("redis", "rediss", "unix")
    if not usable:
        raise ValueError("must be a URL such as redis://localhost:6379/0 or rediss://...")
    _check_redis_options(url)
    return url


def _check_redis_options(url: str) -> None:
    # The client would only find out when it first connects, long after boot. Imported here, because
    # `heliograph check` on a machine without REDIS_URL should not wait for it.
    from redis import ConnectionPool, RedisError

    try:
        ConnectionPool.from_url(url).make_connection()
    except (TypeError, ValueError, RedisError):
        known = "must have no options that the Redis client does not know (what follows the `?`)"
    else:
        return
    raise ValueError(known)  # outside the handler: that error may carry the URL


def _config_file(path: str) -> Path:
    if not Path(path).is_file():
        raise ValueError(f"must name a heliograph.toml that can be read; {path!r} is not a file")
    return Path(path)


def _existing_path(path: str) -> str:
    if not Path(path).exists():
        raise ValueError(f"must name a file that exists; {path!r} does not")
    return path


def _secret_keys(text: str) -> tuple[str, ...]:
    keys = tuple(part.strip() for part in text.split(","))
    if any(len(key) < MIN_SECRET_LENGTH for key in keys):
        raise ValueError(
            f"must be {MIN_SECRET_LENGTH} characters or more (each, where several are given,"
            f" comma-separated); {REMEDY}"
        )
    if len(set(keys)) < len(keys):
        raise ValueError(f"has the same key twice; {REMEDY}")
    # The others only decrypt, so that whoever has a weak key can replace it.
    if not has_entropy(keys[0], MIN_ENCRYPTION_BITS):
        raise ValueError(GUESSABLE)
    return keys


def _metrics_key(key: str) -> str:
    if not KEY_FORM.fullmatch(key):
        raise ValueError(
            f"must be {MIN_KEY_LENGTH} or more ASCII characters without spaces; {REMEDY}"
        )
    if not has_entropy(key):
        raise ValueError(GUESSABLE)
    return key


def _trusted_proxies(text: str) -> str:
    if text != "*":
        parse_cidrs(text)
    return text


def whole(low: int, high: int) -> PlainValidator:
    """A whole number, in plain digits.

    Parameters:
      low: The smallest that is accepted.
      high: The largest that is accepted.
    """

    def parse(text: str) -> int:
        if not _WHOLE_NUMBER.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}, not {text[:20]!r}")
        return int(text)

    return PlainValidator(parse)


def seconds(low: float, high: float) -> PlainValidator:
    """A number of seconds, whole or not.

    Parameters:
      low: The smallest that is accepted.
      high: The largest that is accepted.
    """

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = nan  # lies in no range
        if not low <= number <= high:
            raise ValueError(f"must be seconds from {low:g} to {high:g}, not {text[:20]!r}")
        return number

    return PlainValidator(parse)


RedisUrl = Annotated[str, PlainValidator(_redis_url)]
ConfigFile = Annotated[Path, PlainValidator(_config_file)]
ExistingPath = Annotated[str, PlainValidator(_existing_path)]
SecretKeys = Annotated[tuple[str, ...], PlainValidator(_secret_keys)]
MetricsKey = Annotated[str, PlainValidator(_metrics_key)]
ApiKeys = Annotated[tuple[ApiKey, ...], PlainValidator(parse_api_keys)]
Networks = Annotated[tuple[Network, ...], PlainValidator(parse_cidrs)]
TrustedProxies = Annotated[str, PlainValidator(_trusted_proxies)]
OnOff = Annotated[bool, PlainValidator(parse_on_off)]
