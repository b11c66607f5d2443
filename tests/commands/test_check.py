"""`heliograph check`, as called from a shell."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from service.cli import main

FIXTURES = Path(__file__).parents[1] / "fixtures" / "stripe"
PAID = FIXTURES / "checkout.session.completed.json"

CONFIG = """\
[sources.stripe]
scheme = "stripe"
secrets = ["env:STRIPE_WEBHOOK_SECRET"]
livemode = false
[accounts.shop]
username = "shop"
password = "env:INSTAGRAM_PASSWORD"
[[rules]]
name = "thank-you"
source = "stripe"
event = "checkout.*"
when = "object.payment_status == 'paid'"
action = "dm"
account = "shop"
to = "{{ object.custom_fields | field('instagram') }}"
text = "Thank you, {{ object.customer_details.name }}!"
once_per = "{{ object.payment_intent }}"
delay = "5m"
expires = "2d"
[[rules]]
name = "sorry"
source = "stripe"
event = "charge.refunded"
action = "comment"
account = "shop"
post = "{{ object.metadata.post }}"
text = "Sorry"
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("STRIPE_WEBHOOK_SECRET", raising=False)
    monkeypatch.setenv("INSTAGRAM_PASSWORD", "hunter2")
    path = tmp_path / "heliograph.toml"
    path.write_text(CONFIG)
    monkeypatch.setenv("HELIOGRAPH_CONFIG", str(path))
    return path


def test_a_valid_file_is_summarized_with_warnings_about_unset_variables(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "ok: 1 source, 1 account, 0 callbacks, 2 rules",
        "warning: sources.stripe.secrets[0]: the environment variable STRIPE_WEBHOOK_SECRET "
        "is not set, or is empty",
        "warning: rules.thank-you.text: object.customer_details.name is null if Checkout"
        " does not ask for it; add `| default('...', true)`, or `{% if %}`",
        "warning: rules.thank-you.once_per: object.payment_intent is null for"
        " subscriptions, free orders and trials; give a list of keys that ends with one that is"
        ' always there, "{{ object.id }}"',
    ]


def test_an_unusable_secret_is_a_warning(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(
        '[sources.polar]\nscheme = "standard-webhooks"\nsecrets = ["env:POLAR"]\n'
        "[sources.open]\nscheme = 'github'\n"
        '[callbacks.crm]\nurl = "https://crm.example/"\nsecrets = ["env:CRM"]\n'
    )
    monkeypatch.setenv("POLAR", "whsec_!!hunter2")
    monkeypatch.setenv("CRM", "hunter2")

    assert main(["check"]) == 0

    out = capsys.readouterr().out
    assert "warning: sources.polar.secrets[0]: the secret is not base64" in out
    assert "warning: sources.open.secrets: is empty" in out
    assert "warning: callbacks.crm.secrets[0]: a signing secret" in out
    assert "hunter2" not in out


def test_keys_that_would_stop_a_process_are_warnings(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = "d1f0a9c27b3e48569c8d7e6f5a4b3c21"
    monkeypatch.setenv("SECRET_KEY", "changeme" * 8)
    monkeypatch.setenv("API_KEYS", f"ann:{shared}")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", shared)

    assert main(["check"]) == 0

    out = capsys.readouterr().out
    assert "warning: SECRET_KEY is easy to guess" in out
    assert "warning: sources.stripe.secrets[0] has the value of API_KEYS" in out
    assert shared not in out
    assert "is not set" not in out


def test_what_would_stop_the_worker_at_boot_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "heliograph.toml"
    path.write_text(
        '[accounts.shop]\nusername = "shop"\npassword = "env:PASSWORD"\nproxy = "env:PROXY"\n'
        '[callbacks.crm]\nurl = "http://crm.example/"\n'
        'secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]\n'
    )
    monkeypatch.setenv("PROXY", "socks5://proxy.example:1080")
    assert main(["check", "--config", str(path)]) == 0
    said = capsys.readouterr().out
    assert "accounts.shop.proxy: must be an http:// or https:// proxy URL" in said
    assert "CALLBACK_ALLOW_HTTP" in said


def test_two_tables_for_one_instagram_account_are_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "heliograph.toml"
    path.write_text(
        '[accounts.shop]\nusername = "the.shop"\npassword = "x"\n'
        '[accounts.club]\nusername = "The.Shop"\npassword = "x"\n'
    )
    main(["check", "--config", str(path)])
    assert "accounts.shop is the same Instagram account" in capsys.readouterr().out


def test_every_error_is_a_line_and_the_status_is_one(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(CONFIG.replace("when =", "whn =").replace('"5m"', '"5"'))

    assert main(["check", "--config", str(config)]) == 1

    assert capsys.readouterr().out.splitlines() == [
        "line 12: rules[0].whn: unknown key; did you mean 'when'?",
        "line 18: rules[0].delay: not a duration; write it like 90s, 5m, 1h30m or 2d",
    ]


def test_a_missing_file_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(tmp_path / "nope.toml")]) == 1
    assert "nope.toml: No such file" in capsys.readouterr().out


def test_an_event_shows_the_jobs_it_would_create(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--event", str(PAID)]) == 0

    out = capsys.readouterr().out
    assert out[out.index("event ") :].splitlines() == [
        "event evt_1Fixture000000 (checkout.session.completed) from stripe:",
        "  rule thank-you: dm as shop",
        "    to:       jenny.rosen",
        "    text:     'Thank you, Jenny Rosen!'",
        "    runs:     in 5m",
        "    expires:  2d",
        "    once per: pi_1PgafyB7WZ01zgkWSjxsAJo3",
        "  rule sorry: no job: it is for events of type 'charge.refunded'",
    ]


@pytest.mark.parametrize(
    ("fixture", "line"),
    [
        ("checkout.session.completed.unpaid", "  rule thank-you: no job: `when` is false"),
        (
            "charge.refunded",
            "    rejected at creation: template_failed: post: object.metadata.post is miss",
        ),
        ("invoice.paid", "  no job"),
    ],
)
def test_an_event_that_creates_no_job_shows_why(
    fixture: str, line: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--event", str(FIXTURES / f"{fixture}.json")]) == 0
    assert line in capsys.readouterr().out


def test_a_condition_that_fails_is_shown(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(CONFIG.replace("object.payment_status", "object.nope"))

    assert main(["check", "--event", str(PAID)]) == 0
    assert "rule thank-you: no job: when: object.nope is missing" in capsys.readouterr().out


def test_an_event_of_the_other_livemode_is_ignored(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(CONFIG.replace("livemode = false", "livemode = true"))

    assert main(["check", "--event", str(PAID)]) == 0
    out = capsys.readouterr().out
    assert "ignored: the source accepts only events with livemode true" in out
    assert "rule thank-you" not in out


def test_an_event_is_read_from_standard_input(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(PAID.read_bytes())))

    assert main(["check", "--event", "-"]) == 0
    assert "jenny.rosen" in capsys.readouterr().out


def test_a_fixed_text_that_is_too_long_is_a_warning(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(CONFIG.replace('text = "Sorry"', f'text = "{"x" * 2201}"'))
    assert main(["check"]) == 0
    assert (
        "warning: rules.sorry.text: has 2201 characters, and a comment takes at most 2200"
        in capsys.readouterr().out
    )


def test_what_instagram_may_refuse_a_text_for_is_a_warning(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many_bytes = "\u0436" * 501
    config.write_text(
        CONFIG.replace('text = "Sorry"', 'text = "https://a.example https://b.example"').replace(
            "Thank you,", many_bytes
        )
    )
    assert main(["check", "--event", str(PAID)]) == 0
    out = capsys.readouterr().out
    assert "warning: rules.sorry.text: has 2 links; Instagram may refuse a comment with" in out
    assert "    warning:  text: has 10" in out
    assert main(["check", "--json", "--event", str(PAID)]) == 0
    (job,) = json.loads(capsys.readouterr().out)["jobs"]
    (warning,) = job["warnings"]
    assert warning.startswith("text: has 10")
    assert "bytes in UTF-8; Instagram may refuse a DM with more than 1000" in warning


def test_json_output_has_the_same_content(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", "--event", str(PAID)]) == 0

    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is True
    assert document["counts"] == {"sources": 1, "accounts": 1, "callbacks": 0, "rules": 2}
    assert len(document["warnings"]) == 3
    assert document["event"]["type"] == "checkout.session.completed"
    (job,) = document["jobs"]
    assert (job["to"], job["delay_ms"], job["failure"]) == ("jenny.rosen", 300_000, None)
    assert {note["rule"]: note["outcome"] for note in document["rules"]} == {
        "thank-you": "matched",
        "sorry": "not_matching",
    }

    config.write_text("x = 1\n")
    assert main(["check", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert [(error["line"], error["key"]) for error in document["errors"]] == [(1, "x")]


def test_several_sources_require_the_source_option(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(CONFIG + '[sources.other]\nscheme = "stripe"\n')

    assert main(["check", "--event", str(PAID)]) == 2
    assert "--source NAME (configured: stripe, other)" in capsys.readouterr().err
    assert main(["check", "--event", str(PAID), "--source", "nope"]) == 2
    assert "there is no source 'nope'" in capsys.readouterr().err
    assert main(["check", "--event", str(PAID), "--source", "stripe"]) == 0
    assert "jenny.rosen" in capsys.readouterr().out


@pytest.mark.parametrize("scheme", ["github", "shopify"])
def test_a_type_from_a_header_requires_the_type_option(
    scheme: str, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(f'[sources.code]\nscheme = "{scheme}"\n')
    event = tmp_path / "event.json"
    event.write_text('{"action": "opened"}')

    assert main(["check", "--event", str(event)]) == 2
    assert "--type TYPE" in capsys.readouterr().err
    assert main(["check", "--event", str(event), "--type", "issues"]) == 0
    assert "(issues) from code" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("scheme", "body"),
    [
        ("standard-webhooks", {"type": "order.paid", "data": {}}),
        ("paddle", {"event_id": "evt_1", "event_type": "order.paid", "data": {}}),
        ("slack", {"event_id": "Ev1", "type": "event_callback", "event": {"type": "order.paid"}}),
    ],
)
def test_other_schemes_have_the_type_in_the_body(
    scheme: str,
    body: dict[str, object],
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config.write_text(f'[sources.code]\nscheme = "{scheme}"\n')
    event = tmp_path / "event.json"
    event.write_text(json.dumps(body))

    assert main(["check", "--event", str(event)]) == 0
    assert "(order.paid) from code" in capsys.readouterr().out


def test_an_invalid_event_is_a_problem(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = tmp_path / "event.json"
    event.write_text("[]")

    assert main(["check", "--event", str(event)]) == 1
    assert "would be quarantined" in capsys.readouterr().err
    assert main(["check", "--event", str(tmp_path / "nope.json")]) == 2
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["chekc"], ["check", "--nope"]])
def test_wrong_usage_exits_with_status_two(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2


def test_the_module_is_the_command_and_imports_nothing_heavy(config: Path) -> None:
    script = (
        "import sys; from service.cli import main; status = main(['check']);"
        "print(sorted({'redis', 'fastapi', 'dramatiq', 'aiograpi'} & set(sys.modules)), status)"
    )
    root = Path(__file__).parents[2]

    loaded, module = (
        subprocess.run(
            [sys.executable, *arguments], cwd=root, capture_output=True, text=True, check=True
        )
        for arguments in (["-c", script], ["-m", "service", "check"])
    )

    assert loaded.stdout.splitlines()[-1] == "[] 0"
    assert module.stdout.startswith("ok: 1 source")
