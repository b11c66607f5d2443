"""Scripts run as functions of the store; without functions, by EVAL."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import redis
from redis.exceptions import ResponseError

from actors.batched_scripts import BatchedScripts
from service.jobs.lua.builder import build_script, script_library
from service.jobs.lua.claim_job import claim_job
from service.jobs.lua.report_process import report_process
from service.jobs.lua.runner import ScriptProtocol, Scripts, SyncScripts, drop_unused
from service.jobs.model import Status
from service.redis.client import async_client
from tests.support.ledger import DAY, TIMES, LedgerHarness, open_ledger
from tests.support.lua import SCRIPT_FILES, SHARED_FILES, declared
from tests.support.store import out_of_memory

MINUTE = 60_000
LIBRARY = script_library(TIMES)
RELEASE = LIBRARY.release
#: The left side of an assignment, and the names in it that get a value.
_ASSIGNED = re.compile(r"(?:^|\)|\b(?:then|do|else))[ \t]*([^=\n(]+?)[ \t]*=(?!=)", re.MULTILINE)
_FUNCTION = re.compile(r"^local function .*", re.MULTILINE)
_TARGET = re.compile(r"(?:^|, *)(\w+)")
SCRIPT = LIBRARY.script("finish_job")


def functions(store: redis.Redis) -> set[str]:
    listed: Any = store.function_list("hg_*")
    return {entry[1].decode() for entry in listed}


def used(store: redis.Redis) -> set[str]:
    stats: Any = store.info("commandstats")
    return {name for name in ("fcall", "evalsha") if f"cmdstat_{name}" in stats}


def whole_job(ledger: LedgerHarness) -> Status:
    job_id = ledger.add_job()
    ledger.finish(ledger.claim_and_send(job_id))
    return ledger.status(job_id)


@contextmanager
def user_without(store: redis.Redis, url: str, *commands: str) -> Iterator[str]:
    """The store's URL for a user without the right to these commands."""
    store.acl_setuser(
        "plain",
        enabled=True,
        reset=True,
        passwords=["+pw"],
        keys=["*"],
        channels=["*"],
        categories=["+@all"],
        commands=[f"-{command}" for command in commands],
    )
    try:
        yield url.replace("redis://", "redis://plain:pw@")
    finally:
        store.acl_deluser("plain")


def test_a_job_uses_the_one_library_of_its_release(ledger: LedgerHarness) -> None:
    ledger.store.function_flush()
    ledger.store.config_resetstat()

    assert whole_job(ledger) is Status.SUCCEEDED

    assert used(ledger.store) == {"fcall"}
    assert functions(ledger.store) == {f"hg_{RELEASE}_ledger"}


def test_a_library_loaded_meanwhile_by_another_process_is_used() -> None:
    exchange = ScriptProtocol().exchange(SCRIPT, ())
    next(exchange)
    assert exchange.send(ResponseError("Function not found"))[0] == "FUNCTION LOAD"
    error = f"Library 'hg_{RELEASE}_ledger' already exists"
    assert exchange.send(ResponseError(error))[0] == "FCALL"


@pytest.mark.parametrize("denied", [("fcall",), ("function|load",), ("fcall", "function|load")])
def test_a_redis_user_without_function_rights_uses_eval(
    store: redis.Redis, store_url: str, denied: tuple[str, ...]
) -> None:
    store.function_flush()
    with user_without(store, store_url, *denied) as url, open_ledger(url) as ledger:
        assert whole_job(ledger) is Status.SUCCEEDED
        store.config_resetstat()
        assert whole_job(ledger) is Status.SUCCEEDED
    # The right is not tested again at every step
    assert used(store) == {"evalsha"}


def test_a_full_store_runs_scripts_that_are_not_loaded_yet(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job())
    ledger.store.function_flush()
    ledger.store.script_flush()

    with out_of_memory(ledger.store):
        assert ledger.finish(claim)

    assert ledger.status(claim.id) is Status.SUCCEEDED


def test_functions_lost_by_the_store_are_loaded_again_during_a_job(
    ledger: LedgerHarness,
) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.store.function_flush()
    assert ledger.record_intent(claim) == "ok"
    ledger.store.function_flush()
    assert ledger.finish(claim)


def test_a_batch_uses_eval_if_functions_are_forbidden(
    ledger: LedgerHarness, store_url: str
) -> None:
    jobs = [ledger.add_job(account=f"account-{number}") for number in range(3)]
    with user_without(ledger.store, store_url, "fcall") as url:
        verdicts = ledger.run(_claim_at_once(url, jobs))
    assert verdicts == ["run", "run", "run"]


async def _claim_at_once(url: str, jobs: list[str]) -> list[str | None]:
    client = async_client(url, max_connections=2)
    scripts = BatchedScripts(client, TIMES)
    try:
        calls = (scripts.run(claim_job(job_id, "worker")) for job_id in jobs)
        return [claimed and claimed.verdict for claimed in await asyncio.gather(*calls)]
    finally:
        await scripts.close()
        await client.aclose()


def test_an_error_of_the_script_itself_does_not_run_it_again() -> None:
    exchange = ScriptProtocol().exchange(SCRIPT, ("job_1",))
    assert next(exchange)[:3] == ("FCALL", SCRIPT.function, 0)
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        exchange.send(ResponseError("WRONGTYPE of a key"))


def test_an_unloadable_script_raises_its_own_error() -> None:
    protocol = ScriptProtocol()
    exchange = protocol.exchange(SCRIPT, ())
    next(exchange)
    assert exchange.send(ResponseError("Function not found"))[0] == "FUNCTION LOAD"
    assert exchange.send(ResponseError("OOM"))[0] == "EVALSHA"
    with pytest.raises(ResponseError, match="BUSY"):
        exchange.send(ResponseError("BUSY"))
    assert protocol.command(SCRIPT, ())[0] == "EVALSHA"


def test_another_configuration_has_its_own_functions() -> None:
    other = script_library(replace(TIMES, lease=TIMES.lease + 1)).release
    assert other != RELEASE == script_library(replace(TIMES)).release


def test_unused_libraries_are_dropped(ledger: LedgerHarness) -> None:
    # Given libraries of two unused releases, the older of which had one per script, of a release in
    # use, and of other applications
    ledger.store.function_flush()
    whole_job(ledger)
    unused = ("hg_000000000000_claim", "hg_000000000000_finish", "hg_222222222222_ledger")
    for name in (*unused, "hg_111111111111_ledger", "others"):
        ledger.store.function_load(_library(name), replace=True)
    ledger.store.zadd("hg:releases", {"000000000000": 1, "222222222222": 1})
    _report(ledger)

    assert ledger.run(drop_unused(ledger.client)) == len(unused)

    assert functions(ledger.store) == {f"hg_{RELEASE}_ledger", "hg_111111111111_ledger"}
    assert ledger.store.function_list("others")
    assert ledger.store.zrange("hg:releases", 0, -1) == [RELEASE.encode()]
    for name in ("hg_111111111111_ledger", "others"):
        ledger.store.function_delete(name)


def test_a_release_is_unused_after_a_day_without_reports(ledger: LedgerHarness) -> None:
    whole_job(ledger)
    _report(ledger)
    ledger.store.zincrby("hg:releases", -(DAY - MINUTE), RELEASE)
    assert ledger.run(drop_unused(ledger.client)) == 0
    ledger.store.zincrby("hg:releases", -2 * MINUTE, RELEASE)
    assert ledger.run(drop_unused(ledger.client)) == 1
    # A process that still uses it loads it again
    assert whole_job(ledger) is Status.SUCCEEDED


def test_a_store_without_functions_has_none_to_drop(store: redis.Redis, store_url: str) -> None:
    store.zadd("hg:releases", {"000000000000": 1})
    with user_without(store, store_url, "function") as url, open_ledger(url) as ledger:
        assert ledger.run(drop_unused(ledger.client)) == 0


def _report(ledger: LedgerHarness) -> None:
    ledger.run(Scripts(ledger.client, TIMES).run(report_process("p", "web", 60_000, 0, 0, 0, 0)))


def _library(name: str) -> str:
    return f"#!lua name={name}\nredis.register_function('{name}', function() return 1 end)"


@pytest.mark.parametrize("path", [*SHARED_FILES, *SCRIPT_FILES], ids=lambda path: path.stem)
def test_module_level_values_are_never_changed(path: Any) -> None:
    constants = {
        name for file in SHARED_FILES for name in declared(_FUNCTION.sub("", file.read_text()))
    }
    text = re.sub(r"--[^\n]*|^local [\w, ]+(?==)", "", path.read_text(), flags=re.MULTILINE)
    changed = {name for targets in _ASSIGNED.findall(text) for name in _TARGET.findall(targets)}
    assert not changed & constants


@pytest.mark.parametrize(("script", "flag"), [("preview_job", "no-writes"), ("prune", "allow-oom")])
def test_both_forms_of_a_script_keep_its_flags(script: str, flag: str) -> None:
    built = LIBRARY.script(script)
    assert built.text.startswith(f"#!lua flags={flag}\n")
    assert f"'{built.function}', flags = {{'{flag}'}}," in LIBRARY.text


def test_state_of_a_run_is_gone_in_the_next(ledger: LedgerHarness) -> None:
    body = "local before = run.kept\nrun.kept = ARGV[1]\nreturn {before or '', run.kept}"
    script = build_script(body, TIMES, name="keeping")
    scripts = Scripts(ledger.client, TIMES)

    replies = [ledger.run(scripts.send(script, (word,))) for word in ("one", "two")]

    assert replies == [[b"", b"one"], [b"", b"two"]]
    ledger.store.function_delete(script.library.name)


def test_threads_can_run_scripts_if_functions_are_forbidden(
    ledger: LedgerHarness, store_url: str
) -> None:
    job_id = ledger.add_job()
    with user_without(ledger.store, store_url, "fcall") as url, redis.Redis.from_url(url) as client:
        claimed = SyncScripts(client, TIMES).run(claim_job(job_id, "worker"))
    assert claimed
    assert claimed.fields["status"] == "running"
