"""The environment: every missing or unusable variable is named, and no secret is shown."""

from __future__ import annotations

import logging
import traceback
from ipaddress import ip_network
from pathlib import Path

import pytest

from service.config.settings import SettingsError, load_settings
from service.credentials.api_keys import ApiKey

SECRET = "a-very-secret-value-of-thirty-two-characters"


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The least that works."""
    config = tmp_path / "heliograph.toml"
    config.write_text("")
    monkeypatch.chdir(tmp_path)
    return {
        "REDIS_URL": f"redis://:{SECRET}@localhost:6379/0",
        "SECRET_KEY": SECRET,
        "API_KEYS": f"first:{SECRET}",
    }


def rejected(environ: dict[str, str]) -> SettingsError:
    with pytest.raises(SettingsError) as error:
        load_settings(environ)
    return error.value


def problem_with(environ: dict[str, str]) -> str:
    (problem,) = rejected(environ).problems
    return problem


def test_the_least_that_works_has_the_documented_defaults(environ: dict[str, str]) -> None:
    settings = load_settings(environ)
    assert (settings.redis_url, settings.config_path) == (
        environ["REDIS_URL"],
        Path("heliograph.toml"),
    )
    assert (settings.secret_keys, settings.api_keys) == (
        (SECRET,),
        (ApiKey("first", SECRET),),
    )
    assert (settings.port, settings.web_concurrency, settings.worker_concurrency) == (8000, 1, 1000)
    assert (settings.lease_seconds, settings.settle_seconds) == (10, 5)
    assert (settings.human_pace, settings.dry_run, settings.callback_allow_http) == (
        True,
        False,
        False,
    )
    assert (settings.log_format, settings.retention_days, settings.callback_allow) == (
        "json",
        40,
        (),
    )


def test_everything_is_read(environ: dict[str, str], tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    settings = load_settings(
        environ
        | {
            "REDIS_URL": "rediss://host:6380/1?ssl_cert_reqs=none",
            "SECRET_KEY": f"{SECRET}, {SECRET}2",
            "API_KEYS": f"first:{SECRET}, second:{SECRET}:2",
            "PORT": "0",
            "WEB_CONCURRENCY": "2",
            "WORKER_CONCURRENCY": "7",
            "LEASE_SECONDS": "2.5",
            "SETTLE_SECONDS": "0",
            "INSTAGRAM_CA_BUNDLE": str(bundle),
            "INSTAGRAM_HUMAN_PACE": "off",
            "CALLBACK_ALLOW_CIDRS": "10.0.0.0/8, fd00::/8",
            "PHOTO_ALLOW_CIDRS": "192.168.7.0/24",
            "METRICS_KEY": f"{SECRET}-metrics",
            "FORWARDED_ALLOW_IPS": "10.0.0.0/8, 192.168.1.7",
            "CALLBACK_ALLOW_HTTP": "TRUE",
            "DRY_RUN": "yes",
            "LOG_FORMAT": "console",
            "RETENTION_DAYS": "35",
            "MAX_BODY_BYTES": "2048",
            "BODY_SECONDS": "3",
            "METRICS_SECONDS": "0.5",
        }
    )
    assert settings.secret_keys == (SECRET, f"{SECRET}2")
    assert settings.api_keys == (ApiKey("first", SECRET), ApiKey("second", f"{SECRET}:2"))
    assert (settings.port, settings.web_concurrency, settings.worker_concurrency) == (0, 2, 7)
    assert (settings.lease_seconds, settings.settle_seconds) == (2.5, 0)
    assert settings.instagram_ca_bundle == str(bundle)
    assert settings.callback_allow == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert settings.photo_allow == (ip_network("192.168.7.0/24"),)
    assert settings.trusted_proxies == "10.0.0.0/8, 192.168.1.7"
    assert settings.metrics_key == f"{SECRET}-metrics"
    assert (settings.human_pace, settings.callback_allow_http, settings.dry_run) == (
        False,
        True,
        True,
    )
    assert (settings.max_body_bytes, settings.body_seconds) == (2048, 3)
    assert settings.metrics_seconds == 0.5


def test_a_weak_key_that_only_decrypts_may_stay_until_it_is_replaced(
    environ: dict[str, str],
) -> None:
    weak = "a" * 32
    assert load_settings(environ | {"SECRET_KEY": f"{SECRET},{weak}"}).secret_keys == (SECRET, weak)


@pytest.mark.parametrize("name", ["SECRET_KEY", "API_KEYS", "METRICS_KEY"])
def test_what_is_easy_to_guess_is_refused_with_the_remedy(
    environ: dict[str, str], name: str
) -> None:
    weak = "abcabcabc" * 5
    problem = problem_with(environ | {name: f"a:{weak}" if name == "API_KEYS" else weak})
    assert "easy to guess" in problem
    assert "openssl rand -hex 32" in problem
    assert "abc" not in problem


@pytest.mark.parametrize("value", [None, "", "   "])
@pytest.mark.parametrize("name", ["REDIS_URL", "SECRET_KEY", "API_KEYS"])
def test_what_is_missing_or_empty_is_named(
    environ: dict[str, str], name: str, value: str | None
) -> None:
    missing = {key: item for key, item in environ.items() if key != name}
    if value is not None:
        missing[name] = value
    assert problem_with(missing) == f"{name} is not set"


UNUSABLE = [
    *(("REDIS_URL", value) for value in ("localhost:6379", "http://x", "redis://", "redis://x:y")),
    *(("REDIS_URL", f"redis://x/0?{option}") for option in ("nonsense=1", "db=z")),
    *(("REDIS_URL", value) for value in ("rediss://x?ssl_cert_reqs=maybe", "redis://x:0", SECRET)),
    ("HELIOGRAPH_CONFIG", "/nowhere/heliograph.toml"),
    ("HELIOGRAPH_CONFIG", "/"),
    *(("SECRET_KEY", value) for value in ("a" * 64, "0123456789abcdef" * 4, "changeme-" * 5)),
    *(("SECRET_KEY", value) for value in (f"{SECRET},{SECRET}", f"{'k' * 32},{SECRET}")),
    *(("SECRET_KEY", value) for value in ("short", f"{SECRET},", f"{SECRET},short", ",")),
    *(("API_KEYS", value) for value in (f"a:{'abc' * 9}", f"a:{SECRET},b:{SECRET}")),
    *(("API_KEYS", value) for value in (f"a:{SECRET},b:please-change-me-1", "a:your-key-here-123")),
    *(("METRICS_KEY", value) for value in ("short", "k" * 32, f"{SECRET}é")),
    ("METRICS_KEY", f"{SECRET} with spaces"),
    *(("API_KEYS", value) for value in ("short", f":{SECRET}", "first:", "first:short", ",")),
    *(("API_KEYS", value) for value in (f"a:{SECRET},", f"a:{SECRET},a:{SECRET}x:read")),
    *(("API_KEYS", value) for value in (f"a:{SECRET} with spaces", f"a:{SECRET}é")),
    *(("PORT", value) for value in ("-1", "65536", "http", "80.0", "\uff18\uff10", "9" * 5000)),
    *(("WEB_CONCURRENCY", value) for value in ("0", "65", "auto")),
    *(("WORKER_CONCURRENCY", value) for value in ("0", "many")),
    *(("LEASE_SECONDS", value) for value in ("0", "nan", "inf", "301", "ten")),
    *(("SETTLE_SECONDS", value) for value in ("-1", "nan", "soon")),
    ("INSTAGRAM_CA_BUNDLE", "/nowhere/ca.pem"),
    ("CALLBACK_CA_BUNDLE", "/nowhere/ca.pem"),
    *(("INSTAGRAM_HUMAN_PACE", value) for value in ("maybe", "2")),
    ("CALLBACK_ALLOW_CIDRS", "10.0.0.0/99"),
    ("PHOTO_ALLOW_CIDRS", "photos.example"),
    *(("FORWARDED_ALLOW_IPS", value) for value in ("proxy.example", "10.0.0.0/8,*", "10.0.0.1/8")),
    ("CALLBACK_ALLOW_HTTP", "sure"),
    ("DRY_RUN", "perhaps"),
    ("LOG_FORMAT", "xml"),
    *(("RETENTION_DAYS", value) for value in ("34", "forever")),
    ("BODY_RETENTION_DAYS", "0"),
    *(("MAX_BODY_BYTES", value) for value in ("10", "1MB")),
    *(("BODY_SECONDS", value) for value in ("0", "1000")),
    *(("METRICS_SECONDS", value) for value in ("0", "5s", "100000")),
]


@pytest.mark.parametrize(("name", "value"), UNUSABLE, ids=range(len(UNUSABLE)))
def test_what_is_unusable_is_named_in_one_line_without_a_secret(
    environ: dict[str, str], name: str, value: str
) -> None:
    problem = problem_with(environ | {name: value})
    assert problem.startswith(f"{name} ")
    assert "\n" not in problem
    assert SECRET not in problem
    assert len(problem) < 250


def test_every_missing_or_unusable_variable_is_named_at_once(environ: dict[str, str]) -> None:
    given = environ | {"PORT": "http", "DRY_RUN": "perhaps", "API_KEYS": "a:b"}
    del given["REDIS_URL"]
    error = rejected(given)
    assert [problem.split()[0] for problem in error.problems] == [
        "REDIS_URL",
        "API_KEYS",
        "PORT",
        "DRY_RUN",
    ]
    assert str(error) == "; ".join(error.problems)


@pytest.mark.parametrize("name", ["REDIS_URL", "SECRET_KEY", "API_KEYS"])
def test_neither_an_error_nor_what_caused_it_shows_a_secret(
    environ: dict[str, str], name: str
) -> None:
    hidden = "hidden-but-unusable é"
    error = rejected(environ | {name: hidden})
    assert (error.__cause__, error.__context__) == (None, None)
    assert hidden not in "".join(traceback.format_exception(error))


def test_only_variables_of_exactly_these_names_are_read(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "1")
    (tmp_path / ".env").write_text("PORT=2\n")
    others = ("port", "Port", "HELIOGRAPH_PORT", "SETTINGS_PORT", "PORT__PORT", "human_pace")
    settings = load_settings(environ | dict.fromkeys(others, "3"))
    assert (settings.port, settings.human_pace) == (8000, True)


def test_a_value_is_never_read_as_json(environ: dict[str, str]) -> None:
    listed = f'["{SECRET}"]'
    assert load_settings(environ | {"SECRET_KEY": listed}).secret_keys == (listed,)


def test_the_library_logs_no_values_even_when_it_is_told_to_debug(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PYDANTIC_SETTINGS_DEBUG", "1")
    with caplog.at_level(logging.DEBUG):
        load_settings(environ)
    assert SECRET not in caplog.text


def test_settings_cannot_be_changed(environ: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings(environ).port = 1


def test_a_representation_shows_no_secret(environ: dict[str, str]) -> None:
    shown = repr(load_settings(environ))
    assert SECRET not in shown
    assert "heliograph.toml" in shown
