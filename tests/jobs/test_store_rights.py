"""The list of what processes ask of Redis has all that they ask, and the documents show it.

A new command belongs into service/jobs/store_rights.py; `python -m tests.support.store_rights` then
writes it into docs/storage.md.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Final, get_args

import dramatiq
import pytest
import redis

from service.jobs.store_rights import (
    SAMPLES,
    Process,
    acl_rules,
    missing_rights,
    samples_of,
)
from tests.support.store_rights import acl_commands

ROOT: Final = Path(__file__).parents[2]
_CALL: Final = re.compile(r"redis\.p?call\(\s*['\"](\w+)['\"]")
#: Maintenance of the stock broker is off, and nothing is purged or counted by it.
_UNUSED_OF_DRAMATIQ: Final = {"KEYS", "HLEN"}
#: A client's methods, where the command has another name.
_METHODS: Final = {
    "config_get": "CONFIG",
    "delete": "DEL",
    "function_delete": "FUNCTION",
    "function_list": "FUNCTION",
    "scan_iter": "SCAN",
    "xinfo_stream": "XINFO",
}
_METHOD: Final = re.compile(r"(?:client|pipe|redis)\.([a-z_]+)\(")
#: What is not a command of Redis: of the client itself, and of other clients.
_OTHER_METHODS: Final = {
    "call",
    "pcall",
    "aclose",
    "close",
    "execute",
    "execute_command",
    "pipeline",
    "register_script",
    "post",
    "login",
    "direct_send",
    "media_comment",
    "private_request",
    "settings_unchanged",
    "take_reads",
    "totp_generate_code",
    "usdid_generate",
    "with_default_data",
}


#: Redis 7.0 does not know them.
_SINCE_7_2 = ("CLIENT SETINFO", "WAITAOF")


def commands(process: Process) -> set[str]:
    """The names of a process' commands."""
    return {sample.split()[0] for sample in SAMPLES[process]}


def is_known(store: redis.Redis, sample: str) -> bool:
    """Whether the store is new enough for a command."""
    version = tuple(map(int, store.info("server")["redis_version"].split(".")[:2]))
    return version >= (7, 2) or not sample.startswith(_SINCE_7_2)


def scripts() -> list[str]:
    """The text of everything of ours that has Lua in it."""
    paths = [*ROOT.glob("service/jobs/lua/**/*.lua"), *ROOT.glob("service/accounts/*.lua")]
    paths += [*ROOT.glob("actors/**/*.py")]
    return [path.read_text() for path in paths]


def test_every_command_of_every_script_is_in_the_list() -> None:
    called = {name for text in scripts() for name in _CALL.findall(text)}
    assert called <= commands("worker")
    assert called <= commands("web") | {"SPOP"}
    assert len(called) > 40


def test_every_command_of_the_stock_broker_is_in_the_list() -> None:
    stock = resources.files(dramatiq) / "brokers" / "redis" / "dispatch.lua"
    called = {name.upper() for name in _CALL.findall(stock.read_text())}
    assert called - _UNUSED_OF_DRAMATIQ <= commands("worker")


@pytest.mark.parametrize(
    ("files", "process"),
    [
        ("actors/**/*", "worker"),
        ("service/api/*", "web"),
        ("service/live/*", "web"),
        ("service/accounts/*", "worker"),
        ("service/**/*", "doctor"),
    ],
)
def test_every_command_that_a_client_sends_is_in_the_list(files: str, process: Process) -> None:
    sent = {
        _METHODS.get(name, name.upper())
        for path in ROOT.glob(f"{files}.py")
        for name in _METHOD.findall(path.read_text())
        if name not in _OTHER_METHODS and not name.startswith("_")
    }
    assert sent <= commands(process)


@pytest.mark.parametrize("process", get_args(Process))
def test_the_documents_show_the_rights_of_each_process(process: Process) -> None:
    rules = acl_commands()[process]
    assert " ".join(rules[6:]) == acl_rules(process)
    assert rules[:4] == ["ACL", "SETUSER", f"heliograph-{process}", "reset"]


@pytest.mark.parametrize("process", get_args(Process))
def test_every_sample_is_a_whole_command(store: redis.Redis, process: Process) -> None:
    script = "return tostring(redis.acl_check_cmd(unpack(ARGV)))"
    known = [sample for sample in samples_of(process, "replica") if is_known(store, sample)]
    for sample in known:
        assert store.eval(script, 0, *sample.split()) == b"true", sample


@pytest.mark.parametrize(
    ("forbidden", "missing"),
    [
        (["GET hg:probe", "GET hg-mq", "GET hg-mq:probe"], ["+get"]),
        (["GET hg-mq:probe", "SET hg-mq:probe v"], ["~hg-mq:*"]),
        (
            ["GET hg-mq:probe", "SET hg-mq:probe v", "GET hg:probe", "TIME"],
            ["~hg-mq:*", "+get", "+time"],
        ),
        (["FUNCTION LOAD x"], ["+function|load"]),
    ],
)
def test_missing_rights_are_named_as_rules(forbidden: list[str], missing: list[str]) -> None:
    keyed = [f"{name} {key}" for name in ("GET",) for key in ("hg:probe", "hg-mq", "hg-mq:probe")]
    keyed += [f"SET {key} v" for key in ("hg:probe", "hg-mq", "hg-mq:probe")]
    assert missing_rights(forbidden, [*keyed, "TIME", "FUNCTION LOAD x"]) == missing
