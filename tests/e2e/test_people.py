"""A customer is erased while the processes run, and their paid event comes again."""

from __future__ import annotations

from typing import Any

import redis

from deploy.local.wait import until
from tests.support.person_search import keys_about
from tests.support.scenario import Scenario

HANDLE = "erased.customer"


def _paid(scenario: Scenario) -> Any:
    fields = [{"key": "instagram", "type": "text", "text": {"value": f"@{HANDLE.title()}"}}]
    customer = {"name": f"Jenny {scenario.name}"}
    return scenario.send(
        "checkout.session.completed", custom_fields=fields, customer_details=customer
    )


def test_an_erased_customer_gets_no_second_dm(scenario: Scenario) -> None:
    # Given a DM that was sent, and its callback
    first = _paid(scenario)
    job = scenario.wait_final(first.body["jobs"][0])
    assert (job["status"], job["to"]) == ("succeeded", HANDLE)
    assert scenario.wait_callbacks(job["id"])
    shown = scenario.api.get(f"/people/{HANDLE}").json()
    [pk] = [name for name in shown["person"]["names"] if name.startswith("pk:")]

    # When
    erased = scenario.api.delete(f"/people/{HANDLE}").raise_for_status().json()

    # Then nothing is found
    assert (erased["erased"]["jobs"], erased["done"]) == (1, True)
    with redis.Redis.from_url(scenario.stack.redis_url) as store:
        words = (HANDLE, pk.removeprefix("pk:"), f"Jenny {scenario.name}")
        until(lambda: keys_about(store, *words) == [], 10, "the end of every trace")
    # And the same event is known
    again = _paid(scenario)
    assert (again.status, again.body["duplicate"]) == (200, True)
    assert again.body["jobs"] == [job["id"]]
    assert len(scenario.dms(scenario.name)) == 1
