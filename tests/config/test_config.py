"""heliograph.toml: what is accepted, and how every mistake is reported."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.config.config import (
    Account,
    ConfigError,
    MissingVariable,
    Rule,
    SecretRef,
    load_config,
    parse_config,
    redactions,
)
from service.config.pacing import CEILINGS, DEFAULTS, PACE_KINDS
from service.config.toml_lines import KeyLines

FULL = """\
[sources.stripe]
scheme = "stripe"
secrets = ["env:STRIPE_WEBHOOK_SECRET"]
livemode = false

[accounts.shop]
username = "env:INSTAGRAM_USERNAME"
password = "env:INSTAGRAM_PASSWORD"
totp_seed = "env:INSTAGRAM_TOTP_SEED"
proxy = "env:INSTAGRAM_PROXY"
role = "both"
since = 2026-01-01
quiet_hours = ["22:00", "08:00"]
timezone = "Europe/Paris"
[accounts.shop.pacing.dm]
per_day = 20

[pacing]
i_accept_the_risk = false
repeat_days = 7
[pacing.dm]
per_hour = 12

[callbacks.crm]
url = "env:CALLBACK_URL"
secrets = ["env:CALLBACK_SECRET"]

[[rules]]
name = "thank-you"
source = "stripe"
event = "checkout.session.completed"
when = "object.payment_status == 'paid'"
action = "dm"
account = "shop"
to = "{{ object.custom_fields | field('instagram') }}"
text = "Thank you, {{ object.customer_details.name }}!"
once_per = "{{ object.payment_intent }}"
delay = "5m"
expires = "2d"
callback = "crm"
"""


def problems_in(text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        parse_config(text)
    return [str(problem) for problem in error.value.problems]


def changed(old: str, new: str) -> str:
    assert old in FULL
    return FULL.replace(old, new)


def test_the_whole_file_is_read() -> None:
    config = parse_config(FULL)

    assert config.sources["stripe"].livemode is False
    shop = config.accounts["shop"]
    assert shop.since == datetime.date(2026, 1, 1)
    assert (shop.quiet_hours, shop.timezone) == (("22:00", "08:00"), "Europe/Paris")
    assert shop.may_write
    assert shop.may_read
    assert config.callbacks["crm"].url == SecretRef("env:CALLBACK_URL")
    assert [rule.name for rule in config.rules] == ["thank-you"]


def test_an_account_may_have_a_callback_and_a_rule_may_be_a_dry_run() -> None:
    plain = parse_config(FULL)
    assert (plain.accounts["shop"].callback, plain.rules[0].dry_run) == (None, False)

    text = changed('role = "both"', 'callback = "crm"').replace('expires = "2d"', "dry_run = true")

    config = parse_config(text)
    assert (config.accounts["shop"].callback, config.rules[0].dry_run) == ("crm", True)


def test_an_empty_file_is_a_configuration() -> None:
    config = parse_config("")

    assert (config.sources, config.accounts, config.callbacks, config.rules) == ({}, {}, {}, ())
    assert config.pacing.repeat_days == 7


def test_the_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        parse_config(FULL).pacing.repeat_days = 1


def test_pacing_is_the_default_then_the_file_then_the_account() -> None:
    config = parse_config(FULL)

    assert config.pacing.dm.gap_seconds == DEFAULTS["dm"].gap_seconds
    assert (config.pacing.dm.per_hour, config.pacing.dm.per_day) == (12, 40)
    own = config.pacing.with_overrides(config.accounts["shop"].pacing)
    assert (own.dm.gap_seconds, own.dm.per_hour, own.dm.per_day) == ((45, 120), 12, 20)
    assert own.comment == DEFAULTS["comment"]


def test_every_default_lies_within_its_ceiling() -> None:
    for kind in PACE_KINDS:
        default, ceiling = DEFAULTS[kind], CEILINGS[kind]
        assert default.gap_seconds[0] >= ceiling.gap_seconds[0]
        assert default.per_hour <= ceiling.per_hour
        assert default.per_day <= ceiling.per_day


def test_quiet_hours_may_be_written_as_toml_times() -> None:
    config = parse_config(changed('["22:00", "08:00"]', "[22:00:00, 08:00:00]"))

    assert config.accounts["shop"].quiet_hours == ("22:00", "08:00")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("when =", "whn =", "line 32: rules[0].whn: unknown key; did you mean 'when'?"),
        ("[pacing]", "[pace]", "line 18: pace: unknown key; did you mean 'pacing'?"),
        ("per_hour = 12", "per_hor = 12", "line 22: pacing.dm.per_hor: unknown key; did you mean"),
        ("per_day = 20", "per_dy = 20", "line 16: accounts.shop.pacing.dm.per_dy: unknown key"),
        ('scheme = "stripe"', 'scheme = "strip"', "line 2: sources.stripe.scheme: there is no"),
        ("livemode = false", 'livemode = "no"', "line 4: sources.stripe.livemode: must be true or"),
        ('secrets = ["env:STRIPE_WEBHOOK_SECRET"]', "secrets = 'x'", "line 3: sources.stripe.sec"),
        ("env:STRIPE_WEBHOOK_SECRET", "env:NO SUCH", "line 3: sources.stripe.secrets[0]: after"),
        ("env:STRIPE_WEBHOOK_SECRET", " ", "line 3: sources.stripe.secrets[0]: must not be empty"),
        ('username = "env:INSTAGRAM_USERNAME"\n', "", "line 6: accounts.shop.username: is missing"),
        ('"env:INSTAGRAM_PASSWORD"', "12345", "line 8: accounts.shop.password: must be text"),
        ('role = "both"', 'role = "writer"', "line 11: accounts.shop.role: must be 'write', 'read"),
        ('role = "both"', 'callback = "cm"', "line 11: accounts.shop.callback: there is no [callb"),
        ('role = "both"', "callback = ['crm']", "line 11: accounts.shop.callback: must be text"),
        ("since = 2026-01-01", "since = '2026-01-01'", "line 12: accounts.shop.since: must be a"),
        ('["22:00", "08:00"]', '["22:00", "24:00"]', "line 13: accounts.shop.quiet_hours: must be"),
        ('["22:00", "08:00"]', '["08:00", "08:00"]', "line 13: accounts.shop.quiet_hours: begins"),
        ('["22:00", "08:00"]', '["22:00"]', "line 13: accounts.shop.quiet_hours[1]: is missing"),
        ("Europe/Paris", "Europe/Pari", "line 14: accounts.shop.timezone: is not a time zone"),
        ("Europe/Paris", "../etc/passwd", "line 14: accounts.shop.timezone: is not a time zone"),
        ("pacing.dm]\nper_day", "pacing.dms]\nper_day", "line 15: accounts.shop.pacing.dms: must"),
        ("per_day = 20", "per_day = 0", "line 16: accounts.shop.pacing.dm.per_day: must be greate"),
        ("per_hour = 12", "per_hour = 2.5", "line 22: pacing.dm.per_hour: must be a whole number"),
        ("per_hour = 12", "gap_seconds = [9e9, inf]", "line 22: pacing.dm.gap_seconds[0]: must be"),
        ("per_hour = 12", "gap_seconds = [90, 60]", "line 22: pacing.dm.gap_seconds: the shortest"),
        ('"env:CALLBACK_URL"', '"ftp://x"', "line 25: callbacks.crm.url: "),
        ('"env:CALLBACK_URL"', '"https://a:b@c.example"', "line 25: callbacks.crm.url: must not"),
        ('secrets = ["env:CALLBACK_SECRET"]', "secrets = []", "line 26: callbacks.crm.secrets: ne"),
        ("env:CALLBACK_SECRET", "whsec_short", "line 26: callbacks.crm.secrets: a signing secret"),
        ('name = "thank-you"', 'name = "thank you"', "line 29: rules[0].name: a name is 1 to 64"),
        ("[callbacks.crm]", '[callbacks."c r"]', 'line 24: callbacks."c r": a name is 1 to 64'),
        ('source = "stripe"', 'source = "strip"', "line 30: rules[0].source: there is no [sources"),
        ('action = "dm"', 'action = "dmm"', "line 33: rules[0].action: must be 'dm' or 'comment';"),
        ('account = "shop"', 'account = "shp"', "line 34: rules[0].account: there is no [accounts"),
        ('role = "both"', 'role = "read"', "line 34: rules[0].account: accounts.shop has role 're"),
        ('callback = "crm"', 'callback = "cm"', "line 40: rules[0].callback: there is no [callbac"),
        ('expires = "2d"', 'dry_run = "yes"', "line 39: rules[0].dry_run: must be true or false"),
        ("to = ", "post = ", "line 28: rules[0].to: is missing; the action 'dm' needs it"),
        ("to = ", "post = ", "line 35: rules[0].post: is not for the action 'dm'; remove it"),
        ('action = "dm"', 'action = "comment"', "line 28: rules[0].post: is missing; the action"),
        ("status == 'paid'", "status = 'paid'", "line 32: rules[0].when: must be a single exp"),
        ("object.customer_details", "obj.customer_details", "line 36: rules[0].text: there is no"),
        ("{{ object.custom_fields | field('instagram') }}", "a b", "line 35: rules[0].to: is not"),
        ('"5m"', '"5 min"', "line 38: rules[0].delay: not a duration"),
        ('"2d"', '"2 d"', "line 39: rules[0].expires: not a duration"),
        ('"2d"', '"5m"', "line 39: rules[0].expires: ends before the job may run"),
        ("[[rules]]", "[rules]", "line 28: rules: must be a list"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_with_its_line_key_and_remedy(
    old: str, new: str, problem: str
) -> None:
    problems = problems_in(changed(old, new))

    assert any(found.startswith(problem) for found in problems), problems


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file() -> None:
    problems = problems_in(
        changed('scheme = "stripe"', 'scheme = "strip"')
        .replace("when =", "whn =")
        .replace('account = "shop"', 'account = "shp"')
        .replace("per_hour = 12", "per_hour = 26")
        .replace("object.payment_intent", "obj.payment_intent")
    )

    assert [found.split(": ")[1] for found in problems] == [
        "sources.stripe.scheme",
        "pacing.dm.per_hour",
        "rules[0].whn",
        "rules[0].account",
        "rules[0].once_per",
    ]


def test_names_of_rules_are_unique() -> None:
    second = FULL[FULL.index("[[rules]]") :]

    assert problems_in(FULL + second) == [
        "line 42: rules[1].name: rules[0] has this name; names are unique"
    ]


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("[pacing.dm]\nper_hour = 26\n", "pacing.dm.per_hour"),
        ("[pacing.dm_new_thread]\nper_day = 41\n", "pacing.dm_new_thread.per_day"),
        ("[pacing.comment]\ngap_seconds = [1, 60]\n", "pacing.comment.gap_seconds"),
        ("[accounts.shop.pacing.lookup]\nper_hour = 151\n", "accounts.shop.pacing.lookup.per_hour"),
    ],
)
def test_a_ceiling_holds_until_the_risk_is_accepted(table: str, key: str) -> None:
    account = '[accounts.shop]\nusername = "a"\npassword = "b"\n'
    accepted = "[pacing]\ni_accept_the_risk = true\n"

    (problem,) = problems_in(account + table)

    assert problem.startswith(f"line 5: {key}: ")
    assert "pacing.i_accept_the_risk = true" in problem
    parse_config(account + accepted + table)


def test_broken_toml_is_reported_with_its_line() -> None:
    assert problems_in("[pacing]\nrepeat_days = = 7\n")[0].startswith("line 2: not valid TOML: ")
    assert problems_in("[pacing]\nx = '''\n\n")[0].startswith("line 4: not valid TOML: ")
    assert problems_in("a = " + "[" * 5000 + "]" * 5000) == ["nested too deeply"]


def test_errors_and_reprs_never_show_a_literal_secret() -> None:
    text = changed('"env:INSTAGRAM_PASSWORD"', '"hunter2"')
    broken = text.replace("env:CALLBACK_SECRET", "whsec_hunter2").replace(
        "env:STRIPE", "env: hunter2"
    )

    config = parse_config(text)

    assert "hunter2" not in repr(config) + str(config) + f"{config.accounts['shop'].password}"
    assert "hunter2" not in "".join(problems_in(broken))
    with pytest.raises(ValidationError) as error:
        Account.model_validate({"username": "a", "passwrd": "hunter2"})
    assert "hunter2" not in str(error.value)


def test_a_reference_is_resolved_when_its_value_is_needed() -> None:
    password = parse_config(FULL).accounts["shop"].password

    assert password.resolve({"INSTAGRAM_PASSWORD": " pass word \r\n"}) == " pass word "
    assert SecretRef("a literal").resolve({}) == "a literal"
    assert (password.variable, SecretRef("x").variable) == ("INSTAGRAM_PASSWORD", None)


@pytest.mark.parametrize("environ", [{}, {"INSTAGRAM_PASSWORD": ""}, {"INSTAGRAM_PASSWORD": " \n"}])
def test_a_missing_variable_is_named_with_its_key(environ: dict[str, str]) -> None:
    with pytest.raises(MissingVariable) as error:
        parse_config(FULL).accounts["shop"].password.resolve(environ)

    assert (error.value.name, error.value.key) == ("INSTAGRAM_PASSWORD", "accounts.shop.password")
    assert str(error.value).startswith("accounts.shop.password: ")


def test_redactions_are_every_secret_that_can_be_resolved() -> None:
    config = parse_config(changed('"env:INSTAGRAM_PASSWORD"', '"hunter2"'))
    environ = {
        "STRIPE_WEBHOOK_SECRET": "whsec_inbound",
        "CALLBACK_SECRET": "whsec_outbound",
        "INSTAGRAM_PROXY": "http://user:p%40ss@proxy.example:8080",
        "INSTAGRAM_USERNAME": "shop",
        "CALLBACK_URL": "https://crm.example/hook",
    }

    assert redactions(config, environ) == {
        "whsec_inbound",
        "whsec_outbound",
        "hunter2",
        "http://user:p%40ss@proxy.example:8080",
        "p%40ss",
        "p@ss",
    }


def test_a_template_error_names_its_line_within_the_text() -> None:
    text = 'text = """\nHello\n{{ obj.name }}"""'
    problems = problems_in(changed('text = "Thank you, {{ object.customer_details.name }}!"', text))

    assert problems == [
        "line 36: rules[0].text: there is no name 'obj'; did you mean 'object'? "
        "(line 2 of the template)"
    ]


def test_a_file_is_loaded_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "heliograph.toml"
    path.write_text(FULL, encoding="utf-8-sig")

    assert load_config(path) == parse_config(FULL)


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "heliograph.toml")
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# one\n# caf\xe9\n")
    with pytest.raises(ConfigError, match=r"^line 2: not UTF-8"):
        load_config(latin)


def test_a_rule_built_without_a_file_is_checked_as_well() -> None:
    with pytest.raises(ValidationError, match="there is no name"):
        Rule(
            name="a",
            source="s",
            event=("e",),
            action="dm",
            account="a",
            to="{{ nobody }}",
            text="t",
        )


def test_lines_are_found_through_every_way_to_write_toml() -> None:
    lines = KeyLines(
        """\
# comment with = and [brackets]
title = "a # b ] }"   # trailing
'quoted key'."and.dotted" . bare = 1
[ a . "b c" ]
list = [ # [
  1, "]",
  { x = 1, y = [2,
    3] }, '''
multi ] ''' ,
]
text = \"\"\"
[not.a.table]
key = \\\"\"\" 1
four quotes\"\"\"\"
last = -1.5e3
when = 2026-01-01 10:00:00
empty = ""
[[a.rows]]
n = 1
[[a.rows]]
n = 2
[a.rows.deep]
m = {}
[[a.rows.inner]]
o = []
"""
    )

    found = {
        ("title",): 2,
        ("quoted key", "and.dotted", "bare"): 3,
        ("a", "b c"): 4,
        ("a", "b c", "list"): 5,
        ("a", "b c", "list", 1): 6,
        ("a", "b c", "list", 2, "y", 1): 8,
        ("a", "b c", "list", 3): 8,
        ("a", "b c", "text"): 11,
        ("a", "b c", "last"): 15,
        ("a", "b c", "when"): 16,
        ("a", "b c", "empty"): 17,
        ("a", "rows", 0, "n"): 19,
        ("a", "rows", 1, "n"): 21,
        ("a", "rows", 1, "deep", "m"): 23,
        ("a", "rows", 1, "inner", 0, "o"): 25,
        ("a", "rows", 1, "missing"): 20,
    }
    assert {path: lines.find(path) for path in found} == found
    assert lines.find(("nowhere",)) is None
