"""The environment, read once at boot into one frozen value."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from service.config.variables import (
    ApiKeys,
    ConfigFile,
    ExistingPath,
    MetricsKey,
    Networks,
    OnOff,
    RedisUrl,
    SecretKeys,
    TrustedProxies,
    seconds,
    whole,
)

#: When a change counts as made: at once, on disk, or on a replica.
Durability = Literal["memory", "fsync", "replica"]

DEFAULT_CONFIG: Final = "heliograph.toml"

#: Stripe retries for 3 days and others for longer: a tombstone must outlive every sender.
MIN_RETENTION_DAYS: Final = 35

#: For commands, which authenticate nobody, so that they need no keys of callers.
NO_API_KEYS: Final[Mapping[str, str]] = {"API_KEYS": f"nobody:{secrets.token_hex(16)}"}

# What the library logs when PYDANTIC_SETTINGS_DEBUG is set has every value in it.
logging.getLogger("pydantic_settings").setLevel(logging.WARNING)


class SettingsError(Exception):
    """Variables are missing or unusable.

    Parameters:
      problems: One sentence for each; it names the variable and says what it should be, and never
        shows a secret.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


class Settings(BaseSettings):
    """Everything a process takes from its environment.

    The variable of a field is its name in capitals, unless an alias says otherwise.

    Parameters:
      redis_url: Where the ledger and the broker live.
      config_path: The heliograph.toml to load.
      secret_keys: Keys for what is encrypted at rest; the first encrypts, all decrypt.
      encrypt_at_rest: Whether new event bodies, texts and photos are encrypted.
      api_keys: Bearer keys, with what each may do.
      metrics_key: What a reader of the metrics must send; None for nothing.
      port: The port the web process listens on; 0 lets the system choose.
      web_concurrency: Number of web processes.
      worker_concurrency: Messages in flight per queue in one worker process.
      lease_seconds: How long a claim lasts without a renewal.
      settle_seconds: How long a write with an unknown outcome is left alone before it is verified.
      stop_seconds: How long a worker that shuts down lets its work finish by itself.
      instagram_ca_bundle: File with a private CA that the connections to Instagram trust.
      human_pace: Whether the Instagram client sleeps between its own requests.
      callback_allow: Networks that callbacks may reach although they are not public.
      photo_allow: The same for photo downloads.
      callback_allow_http: Whether callbacks and photo downloads may use plain HTTP.
      callback_ca_bundle: File with a private CA that callbacks and photo downloads trust.
      dry_run: Whether jobs do everything except the write.
      log_format: JSON lines, or text for a terminal.
      retention_days: How long finished jobs, deliveries and events are remembered.
      body_retention_days: How long event bodies and message texts are kept.
      max_body_bytes: The largest webhook body accepted.
      body_seconds: How long a sender may take over the body of a request.
      subscribers_per_key: How many live subscribers one API key may have in a web process.
      trusted_proxies: Whose X-Forwarded-For names the client, as uvicorn takes them.
      metrics_seconds: How often a process reports its own measurements.
      durability: Where a change must be before it is relied on.
    """

    model_config = SettingsConfigDict(
        alias_generator=str.upper,
        case_sensitive=True,
        enable_decoding=False,  # no value is JSON
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=False,  # validators read text
    )

    redis_url: RedisUrl = Field(repr=False)
    config_path: ConfigFile = Field(alias="HELIOGRAPH_CONFIG")
    secret_keys: SecretKeys = Field(alias="SECRET_KEY", repr=False)
    encrypt_at_rest: OnOff = True
    api_keys: ApiKeys = Field(repr=False)
    metrics_key: MetricsKey | None = Field(default=None, repr=False)
    port: Annotated[int, whole(0, 65_535)] = 8000
    web_concurrency: Annotated[int, whole(1, 64)] = 1
    worker_concurrency: Annotated[int, whole(1, 20_000)] = 1000
    lease_seconds: Annotated[float, seconds(0.5, 300)] = 10
    settle_seconds: Annotated[float, seconds(0, 300)] = 5
    stop_seconds: Annotated[float, seconds(0, 20)] = 14
    instagram_ca_bundle: ExistingPath | None = None
    human_pace: OnOff = Field(default=True, alias="INSTAGRAM_HUMAN_PACE")
    callback_allow: Networks = Field(default=(), alias="CALLBACK_ALLOW_CIDRS")
    photo_allow: Networks = Field(default=(), alias="PHOTO_ALLOW_CIDRS")
    callback_allow_http: OnOff = False
    callback_ca_bundle: ExistingPath | None = None
    dry_run: OnOff = False
    log_format: Literal["json", "console"] = "json"
    retention_days: Annotated[int, whole(MIN_RETENTION_DAYS, 3650)] = 40
    body_retention_days: Annotated[int, whole(1, 3650)] = 7
    max_body_bytes: Annotated[int, whole(1024, 64 * 1024 * 1024)] = 1024 * 1024
    body_seconds: Annotated[float, seconds(0.05, 300)] = 10
    subscribers_per_key: Annotated[int, whole(1, 4000)] = 1000
    trusted_proxies: TrustedProxies = Field(default="127.0.0.1", alias="FORWARDED_ALLOW_IPS")
    metrics_seconds: Annotated[float, seconds(0.05, 3600)] = 5
    durability: Durability = "memory"

    @classmethod
    def settings_customise_sources(
        cls, *_classes: Any, **sources: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what `load_settings` passes: no .env file, no directory of secrets."""
        return (sources["init_settings"],)


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from the environment.

    Parameters:
      environ: The variables; a blank value counts as missing, and unknown ones are ignored.

    Raises:
      SettingsError: Variables are missing or unusable; names all of them.
    """
    source = EnvSettingsSource(Settings)
    given = {name: value.strip() for name, value in environ.items() if value.strip()}
    source.env_vars = {"HELIOGRAPH_CONFIG": DEFAULT_CONFIG, **given}
    try:
        return Settings.model_validate(source())
    except ValidationError as error:
        problems = tuple(map(_problem, error.errors(include_url=False)))
    raise SettingsError(problems)  # outside the handler: that error carries the values


def _problem(detail: ErrorDetails) -> str:
    name = detail["loc"][0]
    if detail["type"] == "missing":
        return f"{name} is not set"
    if detail["type"] == "value_error":
        return f"{name} {detail['ctx']['error']}"
    return f"{name} {detail['msg'].replace('Input should', 'must')}"
