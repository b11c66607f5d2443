"""Finding events: by source, type, status, rule, what the rules say, and time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from service.events import event_finder
from service.time_formats.timestamps import rfc3339
from tests.support.ledger import LedgerHarness
from tests.support.web import CONFIG, WebHarness, connect_again, order, run_web

RULE = """
[[rules]]
name = "{name}"
source = "stripe"
event = "{event}"
when = "{when}"
action = "dm"
account = "shop"
to = "{to}"
text = "Thank you!"
"""
RULES = "".join(
    (
        RULE.format(name="typo", event="typo.*", when="true", to="{{ object.handle }}"),
        RULE.format(name="big", event="shop.*", when="object.total > 100", to="some.handle"),
    )
)


@pytest.fixture(scope="module")
def filter_port(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with run_web(store_url, tmp_path_factory.mktemp("filters"), CONFIG + RULES) as port:
        yield port


@pytest.fixture
def web(filter_port: int, store: redis.Redis) -> Iterator[WebHarness]:
    """An application with a rule that fails, and one that is for big orders only. The indexes are
    complete, as they are where no earlier release has accepted anything.
    """
    with connect_again(filter_port, store) as found:
        found.store.hset("hg:indexed", "events", 10**12)
        yield found


def deliver(web: WebHarness, event_id: str, kind: str = "order.paid", **keys: Any) -> None:
    assert web.deliver("stripe", order("stripe", event_id, type=kind, **keys)).is_success


def of(total: object) -> dict[str, Any]:
    """The data of an order."""
    return {"object": {"total": total}}


@pytest.fixture
def events(web: WebHarness) -> None:
    """One event of each sort; `paid` is the only one with a job to do."""
    deliver(web, "evt_paid")
    deliver(web, "evt_other", "customer.created")
    deliver(web, "evt_small", "shop.order", data=of(5))
    deliver(web, "evt_broken", "shop.order", data={"object": {}})
    deliver(web, "evt_typo", "typo.order", data={"object": {"handle": "jenny rosen!"}})
    deliver(web, "evt_paid", data={"object": {"n": 2}})  # a conflict
    web.deliver("stripe", b"no JSON")
    web.deliver("stripe", order("stripe", "evt_test", livemode=False), source="live")


def found(web: WebHarness, **params: Any) -> list[str]:
    """The ids of the events on all pages; of hashes in them only the beginning."""
    ids, cursor = [], None
    while True:
        query = {**params, **({} if cursor is None else {"cursor": cursor})}
        page = web.api.get("/events", params=query).raise_for_status().json()
        ids += [event["id"].partition("~")[0].partition("_")[:3] for event in page["items"]]
        cursor = page["next"]
        if cursor is None:
            return ["".join(parts) for parts in ids]


QUARANTINED = "quarantine"


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"source": "live"}, ["test"]),
        ({"source": "nobody"}, []),
        ({"type": "shop.order"}, ["broken", "small"]),
        ({"type": "*.order"}, ["typo", "broken", "small"]),
        ({"type": "?ustomer.*"}, ["other"]),
        ({"type": "order"}, []),
        ({"type": "not_json"}, [QUARANTINED]),
        ({"status": "quarantined"}, [QUARANTINED]),
        ({"status": "conflict"}, ["paid"]),
        ({"status": "ignored"}, ["test"]),
        ({"status": ["conflict", "ignored"]}, ["test", "paid"]),
        ({"status": "accepted"}, ["typo", "broken", "small", "other", "paid"]),
        ({"status": ["accepted", "ignored"], "type": "order.paid"}, ["test", "paid"]),
        ({"rule": "big"}, ["broken", "small"]),
        ({"rule": "nobody"}, []),
        ({"outcome": "matched"}, ["paid"]),
        ({"outcome": "rejected"}, ["typo"]),
        ({"outcome": "when_false"}, ["small"]),
        ({"outcome": "when_error"}, ["broken"]),
        ({"outcome": "no_rule_matched"}, ["broken", "small", "other"]),
        ({"outcome": "no_rule_matched", "rule": "big"}, ["broken", "small"]),
        ({"outcome": "no_rule_matched", "type": "shop.*", "source": "stripe"}, ["broken", "small"]),
        ({"outcome": "when_error", "rule": "typo"}, []),
        ({"outcome": "matched", "status": "conflict"}, []),
    ],
    ids=str,
)
def test_events_are_found(web: WebHarness, params: dict[str, Any], expected: list[str]) -> None:
    ids = [each.removeprefix("evt_") for each in found(web, **params)]
    assert [QUARANTINED if each.startswith(QUARANTINED) else each for each in ids] == expected
    assert found(web, **params, limit=1) == found(web, **params)


@pytest.mark.usefixtures("events")
def test_a_list_shows_what_each_rule_says(web: WebHarness) -> None:
    (rejected,) = web.api.get("/events", params={"outcome": "rejected"}).json()["items"]
    (failed,) = web.api.get("/events", params={"outcome": "when_error"}).json()["items"]
    job = web.api.get(f"/jobs/{rejected['jobs'][0]}").json()
    (note,) = rejected["rules"]
    assert (note["rule"], note["outcome"], note["code"]) == (
        "typo",
        "rejected",
        job["error"]["code"],
    )
    assert note["message"] == "to: could not be used; the error of the job says why"
    assert failed["rules"][0]["message"].startswith("when: ")


@pytest.mark.usefixtures("events")
def test_what_a_sender_wrote_is_not_in_the_note(web: WebHarness) -> None:
    assert "jenny" not in web.api.get("/events").text


def test_events_are_found_by_the_time_of_their_arrival(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    for number in range(4):
        deliver(web, f"evt_{number}")
        ledger.pass_time(60_000)
    times = [event["received_at"] for event in web.api.get("/events").json()["items"]][::-1]
    assert found(web, created_since=times[2]) == ["evt_3", "evt_2"]
    assert found(web, created_until=times[2]) == ["evt_1", "evt_0"]
    assert found(web, created_since=times[1], created_until=times[3], limit=1) == ["evt_2", "evt_1"]
    assert found(web, created_since="2999-01-01T00:00:00+01:00") == []
    assert found(web, created_until="1999-01-01T00:00:00Z", type="order.paid") == []
    assert len(found(web, created_since="1999-01-01T00:00:00Z", type="order.*")) == 4


@pytest.mark.parametrize(
    ("params", "field", "remedy"),
    [
        ({"created_since": "2026-01-31T09:00:00"}, "created_since", "with its zone"),
        ({"created_until": "2026-01-31"}, "created_until", "RFC 3339"),
        ({"created_since": "1795170408"}, "created_since", "RFC 3339"),
        (
            {"created_since": "2026-01-31T09:00:00Z", "created_until": "2026-01-31T10:00:00+01:00"},
            "created_until",
            "later than created_since",
        ),
        ({"status": "acepted"}, "status", "'accepted'"),
        ({"status": "accepted,ignored"}, "status", "repeat the parameter"),
        ({"outcome": "no_rule"}, "outcome", "'no_rule_matched'"),
        ({"type": ""}, "type", "at least 1"),
        ({"rule": "x" * 256}, "rule", "at most 255"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(
    web: WebHarness, params: dict[str, str], field: str, remedy: str
) -> None:
    response = web.api.get("/events", params=params)
    assert response.status_code == 422
    (problem,) = response.json()["error"]["fields"]
    assert problem["field"] == field
    assert remedy in problem["message"]


def test_a_plus_sign_before_the_zone_need_not_be_encoded(web: WebHarness) -> None:
    assert web.api.get("/events?created_since=2026-01-31T09:00:00+01:00").status_code == 200


def test_a_page_looks_at_a_bounded_number_of_events_and_says_where_it_stopped(
    web: WebHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_finder, "EFFORT", 12)
    monkeypatch.setattr(event_finder, "MAX_CALLS", 2)
    deliver(web, "evt_shop", "shop.order", data=of(200))
    for number in range(10):
        deliver(web, f"evt_{number}")
    first = web.api.get("/events", params={"type": "shop.*"}).json()
    assert first["items"] == []
    assert first["next"] is not None
    for params in ({"type": "shop.*"}, {"rule": "big"}, {"rule": "big", "outcome": "matched"}):
        assert found(web, **params) == ["evt_shop"]


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"type": "shop.order"}, ["broken", "small"]),
        ({"outcome": "when_error"}, ["broken"]),
        ({"status": "conflict"}, ["paid"]),
    ],
)
def test_what_an_earlier_release_has_accepted_is_found_before_it_is_listed(
    web: WebHarness, params: dict[str, Any], expected: list[str]
) -> None:
    # Given that the walk has passed the first event alone, and the others are in no index
    first = nth_newest(web, -1)
    web.store.hset("hg:indexed", "events", first)
    for index in web.store.scan_iter("hg:events:*"):
        web.store.zremrangebyscore(index, first + 1, "+inf")
    assert found(web, **params) == [f"evt_{each}" for each in expected]


def nth_newest(web: WebHarness, place: int) -> int:
    """The sequence number of an event, counted from the newest one."""
    rows: Any = web.store.zrange("hg:events", 0, -1, desc=True, withscores=True)
    return int(rows[place][1])


@pytest.mark.usefixtures("events")
def test_the_walk_beyond_the_indexes_and_the_one_in_them_find_each_event_once(
    web: WebHarness,
) -> None:
    everything = found(web)
    for place in range(len(everything)):
        web.store.hset("hg:indexed", "events", nth_newest(web, place))
        assert found(web, limit=1) == everything
        assert found(web, type="shop.order", limit=1) == ["evt_broken", "evt_small"]


def test_a_clock_that_was_set_back_hides_no_event(web: WebHarness) -> None:
    # Given events of which the earlier seem to have come two hours later
    for number in range(6):
        deliver(web, f"evt_{number}")
    for number in range(3):
        web.store.hincrby(f"hg:event:stripe:evt_{number}", "received", 7_200_000)
    web.store.hset("hg:clock", "by", 7_200_000)
    latest: Any = web.store.hget("hg:event:stripe:evt_5", "received")
    between = rfc3339(int(latest) + 3_600_000)
    # Then it is found by the time that it has
    assert found(web, created_until=between) == ["evt_5", "evt_4", "evt_3"]
    assert found(web, created_since=between) == ["evt_2", "evt_1", "evt_0"]
