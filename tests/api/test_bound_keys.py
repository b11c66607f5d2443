"""A key that is bound to accounts sees and changes what belongs to them, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest
import redis

from tests.support.event_streams import WebSocket, WebSocketRejected, subscribe
from tests.support.ledger import LedgerHarness
from tests.support.photos import encoded, picture
from tests.support.web import API_KEY, CONFIG, WebHarness, connect_again, order, run_web

OWN: Final = "a-key-of-the-club-alone-7c1e"
BOTH: Final = "a-key-of-club-and-choir-9d2f"
RULE: Final = """
[[rules]]
name = "{account}-sale"
source = "stripe"
event = "sale"
when = "'{account}' in object.accounts"
action = "dm"
account = "{account}"
to = "some.handle"
text = "Thank you!"
callback = "crm"
"""
ACCOUNT: Final = """
[accounts.{account}]
username = "{account}"
password = "env:INSTAGRAM_PASSWORD"
"""
HERE: Final = CONFIG + "".join(
    ACCOUNT.format(account=account) + RULE.format(account=account) for account in ("club", "choir")
)
JOB: Final = {"kind": "dm", "to": "some.handle", "text": "Hello", "callback": "crm"}


@pytest.fixture(scope="module")
def port(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an application with bound keys."""
    bound = f"own:{OWN}:jobs+accounts@club,both:{BOTH}:jobs@club+choir"
    directory = tmp_path_factory.mktemp("bound")
    with run_web(store_url, directory, HERE, API_KEYS=f"first:{API_KEY},{bound}") as found:
        yield found


@pytest.fixture
def web(port: int, store: redis.Redis) -> Iterator[WebHarness]:
    """That application over an empty store."""
    with connect_again(port, store) as found:
        yield found


@pytest.fixture
def own(web: WebHarness) -> Iterator[httpx.Client]:
    """A client whose key is bound to the account `club`."""
    with client(web, OWN) as found:
        yield found


@contextmanager
def client(web: WebHarness, key: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=web.http.base_url, trust_env=False, headers=headers) as found:
        yield found


@dataclass(frozen=True)
class Made:
    """A finished job, and its delivery."""

    job: str
    delivery: str

    @property
    def paths(self) -> list[str]:
        job = [f"/jobs/{self.job}{more}" for more in ("", "/timeline", "/result", "/live")]
        return [*job, f"/deliveries/{self.delivery}"]


def make(web: WebHarness, ledger: LedgerHarness, account: str) -> Made:
    job_id = web.api.post("/jobs", json={**JOB, "account": account}).json()["id"]
    ledger.finish(ledger.claim_and_send(job_id))
    return Made(job_id, f"dlv_{job_id.removeprefix('job_')}_1")


def sell(web: WebHarness, event_id: str, *accounts: str) -> dict[str, Any]:
    data = {"object": {"accounts": accounts}}
    body = order("stripe", event_id, type="sale", data=data)
    answer: dict[str, Any] = web.deliver("stripe", body).json()
    return answer


def ids(response: httpx.Response) -> set[str]:
    return {each.get("id") or each.get("job_id") for each in response.json()["items"]}


def error_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_things_of_other_accounts_are_answered_like_those_that_do_not_exist(
    web: WebHarness, ledger: LedgerHarness, own: httpx.Client
) -> None:
    mine, other = make(web, ledger, "club"), make(web, ledger, "shop")
    for path in mine.paths:
        assert own.get(path).status_code in (200, 409), path
    for path in other.paths:
        missing = path.replace(other.job, "job_nothing").replace(other.delivery, "dlv_nothing")
        assert error_of(own.get(path))[0] == 404
        assert own.get(path).json() == own.get(missing).json()
    assert own.get("/accounts/club").status_code == 200
    assert own.get("/accounts/shop").json() == own.get("/accounts/nobody").json()


def test_nothing_of_other_accounts_is_changed(
    web: WebHarness, ledger: LedgerHarness, own: httpx.Client
) -> None:
    other = make(web, ledger, "shop")
    waiting = web.api.post("/jobs", json={**JOB, "account": "shop", "delay_seconds": 60}).json()
    before = web.contents()
    for job_id in (other.job, waiting["id"]):
        for act in ("cancel", "retry"):
            assert error_of(own.post(f"/jobs/{job_id}/{act}")) == (404, "unknown_job")
    for act in ("pause", "resume"):
        assert error_of(own.post(f"/accounts/shop/{act}")) == (404, "unknown_account")
    assert error_of(own.post("/accounts/shop/challenge", json={"code": "123456"}))[0] == 404
    assert error_of(own.put("/accounts/shop/session", json={}))[0] == 404
    assert web.contents() == before
    assert own.post("/accounts/club/pause").json()["status"] == "paused"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/jobs", {**JOB, "account": "shop"}),
        ("/jobs:preview", {**JOB, "account": "shop"}),
        ("/users/some.handle/followers", {"account": "reader"}),
    ],
)
def test_jobs_of_other_accounts_are_refused_with_the_name_of_the_account(
    web: WebHarness, own: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    refused = own.post(path, json=body)
    assert error_of(refused) == (403, "forbidden")
    assert f"`{body['account']}`" in refused.json()["error"]["message"]
    assert web.contents() == {}


def test_an_uploaded_photo_is_for_no_other_account(web: WebHarness, own: httpx.Client) -> None:
    form = {"job": json.dumps({"kind": "dm", "account": "shop", "to": "some.handle"})}
    refused = own.post("/jobs", data=form, files={"photo": encoded(picture())})
    assert error_of(refused) == (403, "forbidden")
    assert web.contents() == {}


def test_an_export_runs_on_an_account_of_the_key(web: WebHarness, own: httpx.Client) -> None:
    made = own.post("/users/some.handle/followers")
    assert (made.status_code, made.json()["account"]) == (202, "club")


def test_lists_have_what_belongs_to_the_key(
    web: WebHarness, ledger: LedgerHarness, own: httpx.Client
) -> None:
    club, choir, shop = (make(web, ledger, account) for account in ("club", "choir", "shop"))
    assert ids(own.get("/jobs")) == {club.job}
    assert ids(own.get("/jobs?account=shop")) == set()
    assert ids(own.get("/deliveries")) == {club.delivery}
    assert ids(own.get("/audit")) == {club.job}
    assert ids(own.get("/audit?account=shop")) == set()
    assert [each["name"] for each in own.get("/accounts").json()["items"]] == ["club"]
    with client(web, BOTH) as both:
        assert ids(both.get("/jobs")) == {club.job, choir.job}
        assert ids(both.get("/deliveries")) == {club.delivery, choir.delivery}
        assert ids(both.get("/audit")) == {club.job, choir.job}
    assert ids(web.api.get("/jobs")) == {club.job, choir.job, shop.job}


def test_a_page_goes_on_behind_many_jobs_of_others(web: WebHarness, ledger: LedgerHarness) -> None:
    wanted = ledger.add_job(account="choir")
    ledger.add_jobs(30, account="shop")
    with client(web, BOTH) as both:
        assert ids(both.get("/jobs?limit=5")) == {wanted}


def test_an_event_shows_the_part_that_is_the_keys(web: WebHarness, own: httpx.Client) -> None:
    both, other = sell(web, "evt_both", "club", "choir"), sell(web, "evt_other", "choir")
    assert len(both["jobs"]) == 2
    assert len(other["jobs"]) == 1
    assert ids(own.get("/events")) == {"evt_both"}
    event = own.get("/events/evt_both").json()
    assert len(event["jobs"]) == 1
    assert [note["rule"] for note in event["rules"]] == ["club-sale"]
    assert ids(own.get("/jobs?event_id=evt_both")) == set(event["jobs"])
    assert error_of(own.get("/events/evt_other")) == (404, "unknown_event")
    assert error_of(own.post("/events/evt_other/replay")) == (404, "unknown_event")


def test_a_replay_runs_no_rules_of_other_accounts(
    web: WebHarness, own: httpx.Client, store: redis.Redis
) -> None:
    jobs = sell(web, "evt_1", "club", "choir")["jobs"]
    # As if the event had come before there were these rules.
    kept = next(job for job in jobs if own.get(f"/jobs/{job}").status_code == 200)
    store.hset("hg:event:stripe:evt_1", "jobs", json.dumps([kept]))
    replayed = own.post("/events/evt_1/replay").json()
    assert (replayed["jobs"], replayed["created"]) == ([kept], [])


def test_suppressions_are_those_of_the_key_and_of_everybody(
    web: WebHarness, own: httpx.Client
) -> None:
    for params in ({}, {"account": "shop"}, {"account": "club"}):
        web.api.put("/suppressions/some.handle", params=params).raise_for_status()
    accounts = [each["account"] for each in own.get("/suppressions").json()["items"]]
    assert accounts == [None, "club"]
    one = "/suppressions/some.handle"
    assert error_of(own.get(f"{one}?account=shop")) == (404, "not_suppressed")
    for refused in (f"{one}?account=shop", one):
        assert error_of(own.put(refused)) == (403, "forbidden")
        assert error_of(own.delete(refused)) == (403, "forbidden")
    assert own.put(f"{one}?account=club").status_code == 200
    assert own.delete(f"{one}?account=club").status_code == 204


def test_live_updates_are_of_the_keys_own_jobs(
    web: WebHarness, ledger: LedgerHarness, own: httpx.Client
) -> None:
    with subscribe(own, "/live") as stream:
        (ready,) = stream.take(1)
        make(web, ledger, "shop")
        mine = make(web, ledger, "club").job
        assert {each.data["id"] for each in stream.take(4)} == {mine}
    headers = {"Authorization": f"Bearer {OWN}"}
    with WebSocket(web.port, f"/live?after={ready.id}", headers) as socket:
        assert {each.data["id"] for each in socket.take(4)} == {mine}


def test_the_socket_of_another_accounts_job_is_refused(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    other = make(web, ledger, "shop")
    with pytest.raises(WebSocketRejected) as rejected:
        WebSocket(web.port, f"/jobs/{other.job}/live", {"Authorization": f"Bearer {OWN}"})
    assert rejected.value.status == 404


@pytest.mark.parametrize("path", ["/pause", "/resume"])
def test_what_is_about_all_accounts_is_not_for_a_bound_key(own: httpx.Client, path: str) -> None:
    assert error_of(own.post(path)) == (403, "forbidden")
