"""What monitoring reads: every number moves when it should, and none tells a secret."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from dramatiq import Broker, Worker
from dramatiq.brokers.stub import StubBroker
from prometheus_client.parser import text_string_to_metric_families

from actors.dramatiq_async.event_loop import LoopThread
from actors.runtime import Runtime, RuntimeMiddleware, WorkerConfig
from deploy.local.wait import until
from service.config.config import parse_config
from service.deliveries.store import Deliveries
from service.jobs.account_effect import AccountEffect
from service.jobs.model import Status
from tests.support.canaries import Canary, leaks
from tests.support.encryption import SECRET_KEY
from tests.support.event_streams import subscribe
from tests.support.ledger import DAY, HOUR, LedgerHarness, open_ledger
from tests.support.web import (
    API_KEY,
    OTHER_KEY,
    SOURCE_SECRETS,
    WebHarness,
    connect,
    order,
    run_web,
    web_settings,
)
from tests.support.webhook_signatures import SECRETS

CONFIG = """
[sources.stripe]
scheme = "stripe"
secrets = ["env:STRIPE_SECRET"]

[accounts.shop]
username = "env:INSTAGRAM_USERNAME"
password = "env:INSTAGRAM_PASSWORD"

[accounts.second]
username = "second"
password = "env:INSTAGRAM_PASSWORD"

[callbacks.crm]
url = "env:CALLBACK_URL"
secrets = ["env:CALLBACK_SECRET"]

[[rules]]
name = "thank-you"
source = "stripe"
event = "order.paid"
action = "dm"
account = "shop"
to = "secretive.recipient"
text = "A text that is nobody else's business"
callback = "crm"
"""
#: What only the worker knows.
ENVIRON = {
    "INSTAGRAM_USERNAME": "the.account.s.name",
    "INSTAGRAM_PASSWORD": "an-instagram-password",
    "CALLBACK_URL": "https://crm.example.com/hooks/of-the-crm",
    "CALLBACK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}
OFTEN = {"METRICS_SECONDS": "0.05"}

#: name and labels -> value
Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Scrape:
    """The numbers of one moment.

    Parameters:
      text: As the server told them.
    """

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._numbers: Numbers = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        """One number; 0 where it is not told."""
        return self._numbers.get((f"heliograph_{name}", frozenset(labels.items())), 0.0)

    def labels(self) -> set[str]:
        """Every value of every label."""
        return {value for _, labels in self._numbers for _, value in labels}


def scrape(web: WebHarness) -> Scrape:
    """Ask for the numbers, as monitoring does: without a key."""
    response = web.http.get("/metrics")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(response.text)


@pytest.fixture
def web(store_url: str, store: redis.Redis, tmp_path: Path) -> Iterator[WebHarness]:
    """A web process of the test's own, that reports at once."""
    with run_web(store_url, tmp_path, CONFIG, **OFTEN) as port, connect(port, store) as web:
        yield web


@pytest.fixture
def ledger(web: WebHarness, store_url: str, tmp_path: Path) -> Iterator[LedgerHarness]:
    """The ledger under it, with the same limits."""
    settings = web_settings(store_url, tmp_path / "heliograph.toml")
    times = WorkerConfig.of(settings, parse_config(CONFIG), ENVIRON).script_config
    with open_ledger(store_url, times) as ledger:
        yield ledger


@contextmanager
def worker(store_url: str, tmp_path: Path) -> Iterator[tuple[Runtime, LoopThread]]:
    """A worker's own resources on its own loop, as they are opened at boot."""
    settings = web_settings(store_url, tmp_path / "heliograph.toml", **OFTEN)
    loop = LoopThread()
    resources = RuntimeMiddleware(WorkerConfig.of(settings, parse_config(CONFIG), ENVIRON), loop)
    broker: Broker = StubBroker(middleware=[])
    process = Worker(broker)
    loop.start()
    resources.before_worker_boot(broker, process)
    try:
        yield resources.runtime, loop
    finally:
        resources.after_worker_shutdown(broker, process)
        loop.stop()


def test_events_are_counted_by_outcome(web: WebHarness) -> None:
    # When one event comes twice, one comes with other data, one is no event and one is forged
    web.deliver("stripe", order("stripe"))
    web.deliver("stripe", order("stripe"))
    web.deliver("stripe", order("stripe", data={"object": {"n": 2}}))
    web.deliver("stripe", b"[]")
    forged = web.deliver("stripe", order("stripe"), headers={"Stripe-Signature": "t=1,v1=0"})
    assert forged.status_code == 400

    def events() -> dict[str, float]:
        seen = scrape(web)
        outcomes = ("accepted", "duplicate", "conflict", "quarantined", "refused")
        return {it: seen("events_total", source="stripe", outcome=it) for it in outcomes}

    until(lambda: all(events().values()))
    assert set(events().values()) == {1}


def test_what_a_process_counts_is_reported_once(web: WebHarness) -> None:
    web.deliver("stripe", order("stripe"), headers={"Stripe-Signature": "t=1,v1=0"})
    reports: set[float] = set()

    def several_reports() -> bool:
        reports.add(scrape(web)("loop_lag_seconds_count", tier="web"))
        return len(reports) > 4

    until(several_reports)
    assert scrape(web)("events_total", source="stripe", outcome="refused") == 1


def test_jobs_are_counted_by_status_and_outcome(web: WebHarness, ledger: LedgerHarness) -> None:
    for account in ("shop", "second"):
        ledger.add_job(account=account)
    seen = scrape(web)
    assert seen("jobs", status="queued") == 2
    assert seen("jobs_by_kind", kind="dm") == 2
    assert seen("jobs", status="succeeded") == seen("deliveries", status="pending") == 0

    [first, second] = ledger.take_messages()
    assert ledger.finish(ledger.claim_and_send(first))
    assert ledger.finish(ledger.claim(second), Status.FAILED)
    seen = scrape(web)
    assert seen("jobs", status="queued") == 0
    assert seen("jobs", status="succeeded") == seen("jobs", status="failed") == 1
    assert seen("jobs_ended_total", kind="dm", status="succeeded") == 1
    assert seen("jobs_ended_total", kind="dm", status="failed") == 1
    assert seen("jobs_ended_total", kind="dm", status="expired") == 0
    assert seen("deliveries", status="pending") == 2


def test_live_subscribers_are_counted(web: WebHarness) -> None:
    with subscribe(web.api, "/live") as one, subscribe(web.api, "/live") as other:
        one.take(1)
        other.take(1)
        until(lambda: scrape(web)("live_subscribers") == 2)
    until(lambda: scrape(web)("live_subscribers") == 0)


def test_outcomes_stay_counted_when_their_jobs_are_pruned(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    ledger.finish(ledger.claim_and_send(ledger.add_job()))
    ledger.pass_time(ledger.script_config.keep + DAY)
    assert ledger.run(ledger.core.prune()) > 0
    seen = scrape(web)
    assert seen("jobs", status="succeeded") == 0
    assert seen("jobs_ended_total", kind="dm", status="succeeded") == 1


def test_claims_and_attempts_are_counted_by_outcome(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.release(ledger.claim(job_id), Status.QUEUED)
    claim = ledger.claim(job_id, "another")
    assert ledger.try_claim(job_id, "a third") is None
    assert ledger.record_intent(claim) == "ok"
    ledger.release(claim, Status.SENDING)
    ledger.pass_time(HOUR)
    ledger.heartbeat()
    assert ledger.finish(ledger.claim(job_id, "a fourth"))

    seen = scrape(web)
    given = ("run", "verify_write", "none")
    assert [seen("claims_total", work="job", outcome=it) for it in given] == [2, 1, 1]
    outcomes = ("queued", "sending", "succeeded", "lease_expired")
    assert [seen("attempts_total", kind="dm", outcome=it) for it in outcomes] == [1, 1, 1, 0]


def test_an_attempt_whose_worker_died_is_counted(web: WebHarness, ledger: LedgerHarness) -> None:
    ledger.claim(ledger.add_job())
    ledger.pass_time(ledger.script_config.lease + 1)
    ledger.heartbeat()
    assert scrape(web)("attempts_total", kind="dm", outcome="lease_expired") == 1


@pytest.mark.parametrize("outcome", ["canceled", "expired", "held", "waiting"])
def test_an_attempt_that_may_not_write_is_counted(
    web: WebHarness, ledger: LedgerHarness, outcome: str
) -> None:
    claim = ledger.claim(ledger.add_job(expires_ms=HOUR))
    closes: dict[str, Callable[[], object]] = {
        "canceled": lambda: ledger.run(ledger.core.cancel(claim.id, "a person")),
        "expired": lambda: ledger.store.hset(f"hg:job:{claim.id}", "expires", "1"),
        "held": lambda: ledger.run(ledger.controls.pause("shop")),
        "waiting": lambda: ledger.store.hset("hg:acct:shop", "gap:dm", "9999999999999"),
    }
    closes[outcome]()
    assert ledger.record_intent(claim) == outcome
    assert scrape(web)("attempts_total", kind="dm", outcome=outcome) == 1


def test_a_rejected_attempt_is_counted_as_failed(web: WebHarness, ledger: LedgerHarness) -> None:
    ledger.finish(ledger.claim_and_send(ledger.add_job()))
    ledger.pass_time(HOUR)
    assert (
        ledger.record_intent(ledger.claim(ledger.add_job())) == "refused"
    )  # to the same recipient again
    assert scrape(web)("attempts_total", kind="dm", outcome="failed") == 1


def test_delivery_attempts_are_counted(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    ledger.finish(ledger.claim_and_send(job_id))
    [delivery] = ledger.deliveries_of(job_id)
    deliveries: Deliveries = ledger.deliveries

    def attempt(to: str, *, counts: bool) -> None:
        ledger.pass_time(HOUR)
        claim = ledger.run(deliveries.claim(delivery["id"], to))
        assert claim is not None
        assert ledger.run(deliveries.claim(delivery["id"], "another")) is None
        if to == "deferred":
            assert ledger.run(deliveries.defer(claim, after_ms=1))
        else:
            assert ledger.run(deliveries.record(claim, to, {}, counts=counts))  # type: ignore[arg-type]

    attempt("pending", counts=True)
    attempt("pending", counts=False)
    attempt("deferred", counts=False)
    attempt("delivered", counts=True)
    seen = scrape(web)
    outcomes = ("retry", "not_counted", "deferred", "delivered")
    assert [seen("attempts_total", kind="delivery", outcome=it) for it in outcomes] == [1] * 4
    assert seen("claims_total", work="delivery", outcome="run") == 4
    assert seen("claims_total", work="delivery", outcome="none") == 4
    assert (seen("deliveries", status="pending"), seen("deliveries", status="delivered")) == (0, 1)


def test_waiting_jobs_are_counted_by_account_queue_and_reason(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    holder = ledger.claim(ledger.add_job())
    for _ in range(2):
        ledger.add_job()
    line = {"account": "shop", "queue": "dm_thread_unknown"}
    assert scrape(web)("jobs_waiting", **line, reason="turn") == 2

    assert ledger.record_intent(holder) == "ok"
    assert ledger.finish(holder)
    seen = scrape(web)
    assert seen("jobs_waiting", **line, reason="turn") == 0
    assert seen("jobs_waiting", **line, reason="dm_gap") == 2

    ledger.run(ledger.controls.pause("shop", "a note that is nobody else's business"))
    seen = scrape(web)
    assert seen("jobs_waiting", **line, reason="dm_gap") == 0
    assert seen("jobs_held", account="shop", kind="dm", reason="paused") == 2


def test_the_state_of_an_account_is_reported(web: WebHarness, ledger: LedgerHarness) -> None:
    def states(account: str = "shop") -> dict[str, float]:
        seen = scrape(web)
        names = ("active", "cooling_down", "held", "paused")
        return {it: seen("account_status", account=account, status=it) for it in names}

    def only(status: str) -> dict[str, float]:
        return {**dict.fromkeys(("active", "cooling_down", "held", "paused"), 0.0), status: 1.0}

    assert states() == states("second") == only("active")
    claim = ledger.claim(ledger.add_job())
    ledger.release(
        claim,
        Status.WAITING,
        after_ms=1,
        effect=AccountEffect(cooldown="slow_down", cooldown_ms=HOUR),
    )
    assert states() == only("cooling_down")
    ledger.run(ledger.controls.pause("shop"))
    assert states() == only("paused")
    assert states("second") == only("active")
    ledger.run(ledger.controls.pause_all())
    assert states("second") == only("paused")


def test_an_account_that_needs_a_person_is_held(web: WebHarness, ledger: LedgerHarness) -> None:
    ledger.release(
        ledger.claim(ledger.add_job()), Status.HELD, effect=AccountEffect(hold="challenge_required")
    )
    seen = scrape(web)
    assert seen("account_status", account="shop", status="held") == 1
    assert seen("jobs_held", account="shop", kind="dm", reason="challenge_required") == 1


def test_budgets_are_told(web: WebHarness, ledger: LedgerHarness) -> None:
    def used(limit: str, window: str) -> float:
        return scrape(web)("budget_used", account="shop", limit=limit, window=window)

    assert [used("dm", "hour"), used("dm", "day")] == [0, 0]
    claim = ledger.claim(ledger.add_job())
    assert ledger.record_intent(claim, thread="new") == "ok"
    assert [used("dm", "hour"), used("dm", "day"), used("dm_new_thread", "day")] == [1, 1, 1]
    assert used("comment", "day") == 0
    ledger.finish(claim)
    ledger.pass_time(2 * HOUR)
    assert [used("dm", "hour"), used("dm", "day")] == [0, 1]
    seen = scrape(web)
    assert seen("budget_limit", account="shop", limit="dm", window="hour") == 10
    assert seen("budget_limit", account="shop", limit="dm", window="day") == 40


def test_a_queue_reports_its_depth_and_the_age_of_its_first_message(
    web: WebHarness, ledger: LedgerHarness, store: redis.Redis
) -> None:
    assert scrape(web)("queue_messages", queue="actions") == 0
    ledger.add_job()
    ledger.add_job(account="second")
    until(lambda: scrape(web)("queue_oldest_seconds", queue="actions") > 0.05)
    assert scrape(web)("queue_messages", queue="actions") == 2
    assert scrape(web)("queue_messages", queue="callbacks") == 0
    ledger.take_messages()
    # And what is no message of ours does not stop the scrape
    store.rpush("hg-mq:actions", "no such message")
    store.rpush("hg-mq:calendar", "not json")
    store.hset("hg-mq:calendar.msgs", "not json", "[")
    seen = scrape(web)
    assert (seen("queue_messages", queue="actions"), seen("queue_messages", queue="calendar")) == (
        1,
        1,
    )
    assert seen("queue_oldest_seconds", queue="actions") == 0


@pytest.mark.parametrize(
    ("key", "index"),
    [
        ("hg:due", "due"),
        ("hg:wakes", "unclaimed"),
        ("hg:leases", "leases"),
        ("hg:expiry", "expiry"),
        ("hg:turns", "turns"),
        ("hg:alarms", "account_wakeups"),
    ],
)
def test_work_that_is_due_and_not_done_is_told(
    web: WebHarness, store: redis.Redis, key: str, index: str
) -> None:
    now_ms = time.time() * 1000
    store.zadd(key, {"later": now_ms + HOUR})
    assert scrape(web)("due_lag_seconds", index=index) == 0
    store.zadd(key, {"overdue": now_ms - 90_000})
    assert 90 <= scrape(web)("due_lag_seconds", index=index) < 120


def test_counts_of_two_releases_add_up_under_one_label(
    web: WebHarness, ledger: LedgerHarness, store: redis.Redis
) -> None:
    # Given counts of another release, under the stored name and under the public one
    store.hset("hg:counters", mapping={"attempt:dm:lapsed": 2, "attempt:dm:lease_expired": 3})
    # When this one counts
    ledger.claim(ledger.add_job())
    ledger.pass_time(ledger.script_config.lease + 1)
    ledger.heartbeat()
    # Then there is one number, and the other release finds this count among its own
    seen = scrape(web)
    assert seen("attempts_total", kind="dm", outcome="lease_expired") == 6
    assert seen("attempts_total", kind="dm", outcome="lapsed") == 0
    assert store.hget("hg:counters", "attempt:dm:lapsed") == b"3"


@pytest.mark.parametrize(
    ("stored", "queue"),
    [("walk", "follower_export"), ("look", "verify_write"), ("dm_unknown", "dm_thread_unknown")],
)
def test_a_sub_queue_that_the_release_before_filled_has_its_public_name(
    web: WebHarness, store: redis.Redis, stored: str, queue: str
) -> None:
    store.sadd("hg:acct:shop:lanes", stored)
    store.zadd(f"hg:acct:shop:line:{stored}", {"job_a": 1, "job_b": 2})
    assert scrape(web)("jobs_waiting", account="shop", queue=queue, reason="turn") == 2


def test_a_workers_numbers_are_in_the_webs_scrape(
    web: WebHarness, store_url: str, tmp_path: Path
) -> None:
    def answers(tier: str) -> float:
        return scrape(web)("loop_lag_seconds_count", tier=tier)

    def late(tier: str) -> float:
        seen = scrape(web)
        within = seen("loop_lag_seconds_bucket", tier=tier, le="0.1")
        return seen("loop_lag_seconds_count", tier=tier) - within

    until(lambda: scrape(web)("processes", tier="web") == 1 and answers("web") > 0)
    assert scrape(web)("processes", tier="worker") == answers("worker") == 0
    with worker(store_url, tmp_path) as (runtime, loop):
        until(lambda: scrape(web)("processes", tier="worker") == 1 and answers("worker") > 0)
        # When it claims something, and something blocks its loop
        assert loop.call(runtime.claims.claim("job_unknown", runtime.owner())) is None
        assert scrape(web)("claims_total", work="job", outcome="none") == 1
        before = late("worker")
        loop.loop.call_soon_threadsafe(time.sleep, 0.6)
        until(lambda: late("worker") > before)
        assert scrape(web)("loop_lag_peak_seconds", tier="worker") > 0.1
        assert scrape(web)("loop_lag_seconds_sum", tier="worker") > 0.1
    # Then what it counted outlives it, and it itself is gone
    seen = scrape(web)
    assert seen("processes", tier="worker") == seen("loop_lag_peak_seconds", tier="worker") == 0
    assert late("worker") > before
    assert seen("claims_total", work="job", outcome="none") == 1


def test_a_killed_process_is_no_longer_counted(web: WebHarness, store: redis.Redis) -> None:
    until(lambda: scrape(web)("processes", tier="web") == 1)
    store.zadd("hg:processes", {"killed": 0, "just killed": time.time() * 1000})
    store.hset("hg:metrics:just killed", mapping={"tier": "worker", "peak_us": "2000000"})
    seen = scrape(web)
    assert (seen("processes", tier="web"), seen("processes", tier="worker")) == (1, 1)
    assert seen("loop_lag_peak_seconds", tier="worker") == 2
    store.delete("hg:metrics:just killed")  # as it does by itself
    until(lambda: store.zscore("hg:processes", "killed") is None)
    assert scrape(web)("processes", tier="worker") == 0


def test_counters_of_another_release_do_not_break_the_scrape(
    web: WebHarness, store: redis.Redis
) -> None:
    for name in (
        "end:dm:failed",
        "event:stripe:accepted:more",
        "unheard_of:x",
        "lag:moon:1",
        "end",
    ):
        store.hset("hg:counters", name, 2)
    store.hset("hg:metrics:other", "tier", "moon")
    store.zadd("hg:processes", {"other": time.time() * 1000})
    assert scrape(web)("jobs_ended_total", kind="dm", status="failed") == 2


def test_metrics_are_available_when_redis_is_out_of_memory(
    web: WebHarness, store: redis.Redis
) -> None:
    web.deliver("stripe", order("stripe"))
    limit = str(store.config_get("maxmemory")["maxmemory"])
    store.config_set("maxmemory", 1)
    try:
        answers = scrape(web)("loop_lag_seconds_count", tier="web")
        until(lambda: scrape(web)("loop_lag_seconds_count", tier="web") > answers)
        assert scrape(web)("events_total", source="stripe", outcome="accepted") == 1
    finally:
        store.config_set("maxmemory", limit)


def test_metrics_contain_no_secret_and_no_person(
    web: WebHarness, ledger: LedgerHarness, store_url: str, tmp_path: Path
) -> None:
    event = web.deliver("stripe", order("stripe", "evt_of_a_customer")).json()
    [job_id] = event["jobs"]
    with worker(store_url, tmp_path):
        until(lambda: scrape(web)("processes", tier="worker") == 1)
        assert ledger.finish(ledger.claim_and_send(job_id))
        ledger.add_job(to="another.recipient", text="Another text")
        ledger.run(ledger.controls.pause("shop", "a note that is nobody else's business"))
        text = web.http.get("/metrics").text
    private = {
        **ENVIRON,
        **SOURCE_SECRETS,
        **{f"secret of {scheme}": secret for scheme, secret in SECRETS.items()},
        "SECRET_KEY": SECRET_KEY,
        "API_KEY": API_KEY,
        "OTHER_KEY": OTHER_KEY,
        "recipient": "recipient",
        "text": "nobody else's business",
        "job": job_id.removeprefix("job_"),
        "event": "evt_of_a_customer",
        "process": f":{os.getpid()}:",
    }
    canaries = [Canary(name, value.removeprefix("whsec_")) for name, value in private.items()]
    assert leaks({"the scrape": text}, canaries) == []
    assert {"shop", "second", "stripe"} <= Scrape(text).labels()


def test_without_redis_there_are_no_metrics(tmp_path: Path, store: redis.Redis) -> None:
    with (
        run_web("redis://127.0.0.1:1/0", tmp_path, CONFIG) as port,
        connect(port, store) as web,
    ):
        response = web.http.get("/metrics")
        assert (response.status_code, response.json()["error"]["code"]) == (
            503,
            "store_unavailable",
        )
