"""What people wrote is found nowhere in the store, nor in its files, and still reaches them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.local.sender import send
from deploy.local.stack import Stack
from deploy.local.wait import until
from tests.support.canaries import Canary, dump_store, leaks, new_secret
from tests.support.scenario import Scenario

SHORT = {"LEASE_SECONDS": "2", "SETTLE_SECONDS": "1"}


@pytest.fixture
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose store keeps its files where the test can read them."""
    with Stack(tmp_path_factory.mktemp("encrypted"), environ=SHORT) as running:
        yield running


@pytest.fixture
def scenario(own_stack: Stack, request: pytest.FixtureRequest) -> Iterator[Scenario]:
    scenario = Scenario(own_stack, request.node.name)
    scenario.begin()
    yield scenario
    scenario.end()


def _words(kinds: tuple[str, ...]) -> dict[str, str]:
    return {kind: new_secret() for kind in kinds}


def _files(directory: Path) -> Mapping[str, str]:
    """Every file of the store, as text."""
    return {
        str(path): path.read_bytes().decode("latin-1")
        for path in directory.rglob("*")
        if path.is_file()
    }


def _rewrite_aof(store: redis.Redis) -> None:
    store.bgrewriteaof()

    def done() -> bool:
        info: Any = store.info("persistence")
        waiting = info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"]
        return not waiting and info["aof_last_bgrewrite_status"] == "ok"

    until(done, 30, "the end of the rewrite")


def test_no_word_of_a_body_or_text_is_in_the_store_or_its_files(
    own_stack: Stack, scenario: Scenario
) -> None:
    words = _words(("name", "email", "text", "failed", "planned", "unreadable"))
    # Given an event with a person's data, whose DM is sent
    person = {"name": words["name"], "email": f"{words['email']}@example.com"}
    sent = scenario.send("checkout.session.completed", customer_details=person).body["jobs"][0]
    # And an authentic body that is no event
    bad = {"type": words["unreadable"]}
    send(f"{own_stack.url}/webhooks/stripe", own_stack.webhook_secret, bad)
    # And jobs from the API that are sent, that failed, and that wait for their time
    by_api = scenario.create_dm(text=f"Hello {words['text']}")
    assert {scenario.wait_final(job_id)["status"] for job_id in (sent, by_api)} == {"succeeded"}
    own_stack.fake_instagram.fault("broadcast_text", account="shop", error="user_not_found")
    failed = scenario.create_dm(text=words["failed"], account="shop")
    planned = scenario.create_dm(text=words["planned"], delay_seconds=3600)
    assert scenario.wait_final(failed)["status"] == "failed"
    # Then nothing of it is in any key, nor in the append-only file, before and after a rewrite
    canaries = [Canary(kind, word) for kind, word in words.items()]
    assert leaks({"store": dump_store(own_stack.redis_url)}, canaries) == []
    directory = own_stack.directory / "valkey"
    before = _files(directory)
    with redis.Redis.from_url(own_stack.redis_url) as store:
        _rewrite_aof(store)
    after = _files(directory)
    assert before != after
    assert leaks({**before, **after}, canaries) == []
    # And yet it reaches its readers
    assert len(scenario.dms(words["name"])) == 1
    event_id = scenario.job(sent)["source"]["event_id"]
    shown = scenario.api.get(f"/events/{event_id}").json()
    assert json.loads(shown["body"])["data"]["object"]["customer_details"] == person
    own_stack.fake_instagram.clear_faults()
    scenario.api.post(f"/jobs/{planned}/cancel").raise_for_status()


def test_the_search_finds_what_is_stored_where_encryption_is_off(
    own_stack: Stack, scenario: Scenario
) -> None:
    word = new_secret()
    own_stack.processes["web"].stop()
    own_stack.start("web", environ={"ENCRYPT_AT_REST": "off"})
    until(own_stack.ready, 30, "the web process")
    scenario.create_dm(text=word, delay_seconds=3600)
    canaries = [Canary("text", word)]
    assert leaks({"store": dump_store(own_stack.redis_url)}, canaries) != []
    assert leaks(_files(own_stack.directory / "valkey"), canaries) != []
