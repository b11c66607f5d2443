"""Lookups of profiles and posts over HTTP: copies, shared lookups, waiting."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from service.jobs.model import Status
from tests.support.ledger import SECOND, LedgerHarness
from tests.support.lookups import (
    POST,
    PROFILE,
    cache_profile,
    error_of,
    fail_lookup,
    finish_lookup,
    list_jobs,
    new_username,
    pending_lookups,
)
from tests.support.store import clear
from tests.support.web import API_KEY, WebHarness

USER_FRESH, POST_FRESH = 300 * SECOND, 60 * SECOND


# Shared lookups


def test_concurrent_requests_for_a_profile_share_one_lookup(
    web: WebHarness, ledger: LedgerHarness, name: str, executor: ThreadPoolExecutor
) -> None:
    # Given several callers
    requests = [executor.submit(web.api.get, f"/users/{name}") for _ in range(5)]
    [job_id] = pending_lookups(web)
    # When the profile is found
    found = finish_lookup(ledger, job_id)
    # Then all are answered by one job of the reading account
    responses = [each.result() for each in requests]
    assert [(each.status_code, each.json()) for each in responses] == [(200, found)] * 5
    assert responses[0].headers["Content-Type"] == "application/json"
    assert responses[0].headers["Cache-Control"] in ("private, max-age=299", "private, max-age=300")
    assert responses[0].headers["Age"] == "0"
    assert "Warning" not in responses[0].headers
    [job] = list_jobs(web, kind="lookup")
    assert (job["status"], job["account"], job["to"]) == ("succeeded", "reader", name)


def test_two_processes_share_one_lookup(
    web: WebHarness,
    second_web: WebHarness,
    ledger: LedgerHarness,
    name: str,
    executor: ThreadPoolExecutor,
) -> None:
    requests = [
        executor.submit(each.api.get, f"/users/{name}")
        for each in (web, second_web)
        for _ in range(10)
    ]
    [job_id] = pending_lookups(web)
    found = finish_lookup(ledger, job_id)
    assert [each.result().json() for each in requests] == [found] * 20
    assert len(list_jobs(web, kind="lookup")) == 1


def test_a_fresh_copy_needs_neither_a_lookup_nor_redis(
    web: WebHarness, ledger: LedgerHarness, name: str
) -> None:
    found = cache_profile(web, ledger, name)
    first = web.api.get(f"/users/{name}")
    clear(web.store)
    again = web.api.get(f"/users/{name}", params={"wait": 5})
    assert (first.json(), again.json()) == (found, found)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert web.contents() == {}


def test_a_stale_copy_is_sent_at_once_while_one_lookup_runs(
    web: WebHarness, second_web: WebHarness, ledger: LedgerHarness, name: str
) -> None:
    cache_profile(web, ledger, name)
    ledger.pass_time(USER_FRESH + SECOND)
    # When a process without a local copy is asked
    stale = [second_web.api.get(f"/users/{name}") for _ in range(3)]
    # Then the copy is sent with a warning that it is stale
    assert [each.status_code for each in stale] == [200] * 3
    assert stale[0].headers["Warning"] == '110 - "Response is Stale"'
    assert int(stale[0].headers["Age"]) >= 301
    assert stale[0].headers["Cache-Control"] == "private, max-age=0"
    [job_id] = pending_lookups(web)
    finish_lookup(ledger, job_id, full_name="Another Name")
    fresh = second_web.api.get(f"/users/{name}")
    assert (fresh.json()["full_name"], fresh.headers["Age"]) == ("Another Name", "0")
    assert fresh.headers["ETag"] != stale[0].headers["ETag"]


def test_a_post_is_fresh_for_a_minute(
    web: WebHarness, second_web: WebHarness, ledger: LedgerHarness
) -> None:
    pk = str(3_700_000_000_000_000_000 + hash(new_username()) % 10**9)
    assert web.api.get(f"/posts/{pk}", params={"wait": 0}).status_code == 202
    [job_id] = pending_lookups(web)
    claim = ledger.claim(job_id)
    assert (claim.job.post, claim.job.to) == (pk, "")
    post = {**POST, "pk": pk, "caption": "New glazes"}
    ledger.run(ledger.claims.finish(claim, Status.SUCCEEDED, result=post))
    assert web.api.get(f"/posts/{pk}").json() == post
    ledger.pass_time(POST_FRESH + SECOND)
    assert "Warning" in second_web.api.get(f"/posts/{pk}").headers


# Conditional requests


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"other", "{}"', 'W/"x" , W/"{}"', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_known_content_is_not_sent_again(
    web: WebHarness, ledger: LedgerHarness, name: str, form: str, method: str
) -> None:
    cache_profile(web, ledger, name)
    etag = web.api.get(f"/users/{name}").headers["ETag"]
    tags = {"If-None-Match": form.format(etag.strip('"'))}
    response = web.api.request(method, f"/users/{name}", headers=tags)
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["ETag"] == etag
    assert {"Age", "Cache-Control"} < set(map(str.title, response.headers))
    assert "Content-Type" not in response.headers


@pytest.mark.parametrize("given", ["other", '"other"', "", 'W/"other"', '"{}x"'])
def test_other_content_is_sent(
    web: WebHarness, ledger: LedgerHarness, name: str, given: str
) -> None:
    found = cache_profile(web, ledger, name)
    etag = web.api.get(f"/users/{name}").headers["ETag"].strip('"')
    headers = {"If-None-Match": given.format(etag)}
    assert web.api.get(f"/users/{name}", headers=headers).json() == found


def test_the_same_content_keeps_its_etag(
    web: WebHarness, second_web: WebHarness, ledger: LedgerHarness, name: str
) -> None:
    cache_profile(web, ledger, name)
    etag = web.api.get(f"/users/{name}").headers["ETag"]
    ledger.pass_time(USER_FRESH + SECOND)
    second_web.api.get(f"/users/{name}")
    finish_lookup(ledger, pending_lookups(web)[0])
    response = second_web.api.get(f"/users/{name}", headers={"If-None-Match": etag})
    assert (response.status_code, response.headers["Age"]) == (304, "0")


def test_head_returns_what_get_does_without_the_body(
    web: WebHarness, ledger: LedgerHarness, name: str
) -> None:
    cache_profile(web, ledger, name)
    get, head = web.api.get(f"/users/{name}"), web.api.head(f"/users/{name}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(get.content))
    assert web.api.head(f"/users/{new_username()}", params={"wait": 0}).status_code == 202


def test_a_copy_requires_a_key(web: WebHarness, ledger: LedgerHarness, name: str) -> None:
    cache_profile(web, ledger, name)
    web.api.get(f"/users/{name}")
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {API_KEY}"}):
        assert web.http.get(f"/users/{name}", headers=header).status_code == 401
    odd = {"Authorization": f"bearer  {API_KEY}"}
    assert web.http.get(f"/users/{name}", headers=odd).status_code == 200


# Waiting


def test_a_request_that_does_not_wait_gets_the_job_of_the_lookup(
    web: WebHarness, ledger: LedgerHarness, name: str
) -> None:
    first = web.api.get(f"/users/{name}", params={"wait": 0})
    again = web.api.get(f"/users/{name}", headers={"Prefer": "respond-async, wait=0"})
    # Then both get the same job
    [job_id] = pending_lookups(web)
    for response in (first, again):
        assert response.status_code == 202
        assert response.headers["Location"] == f"/jobs/{job_id}"
        assert int(response.headers["Retry-After"]) >= 1
        assert (response.json()["status"], response.json()["job_id"]) == ("pending", job_id)
    assert "Preference-Applied" not in first.headers
    assert again.headers["Preference-Applied"] == "wait=0"
    assert web.api.get(first.headers["Location"]).json()["kind"] == "lookup"
    found = finish_lookup(ledger, job_id)
    assert web.api.get(f"/users/{name}").json() == found


def test_prefer_is_used_only_without_the_query_parameter(
    web: WebHarness, name: str, ledger: LedgerHarness, executor: ThreadPoolExecutor
) -> None:
    response = web.api.get(f"/users/{name}", params={"wait": 0}, headers={"Prefer": "wait=20"})
    assert (response.status_code, "Preference-Applied" in response.headers) == (202, False)
    # The response confirms the preference
    requests = executor.submit(web.api.get, f"/users/{name}", headers={"Prefer": 'Wait="100"'})
    finish_lookup(ledger, pending_lookups(web)[0])
    assert requests.result().headers["Preference-Applied"] == "wait=25"


def test_a_later_request_waits_for_its_own_time(
    web: WebHarness, ledger: LedgerHarness, name: str, executor: ThreadPoolExecutor
) -> None:
    # Given a lookup whose first caller has disconnected
    web.api.get(f"/users/{name}", params={"wait": 0})
    short = executor.submit(web.api.get, f"/users/{name}", params={"wait": 0.2})
    long = executor.submit(web.api.get, f"/users/{name}", params={"wait": 20})
    assert short.result().status_code == 202
    # Then the other is still answered when it ends
    finish_lookup(ledger, pending_lookups(web)[0])
    assert long.result().status_code == 200


@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "soon", ""])
def test_an_invalid_wait_is_rejected_by_name(
    web: WebHarness, ledger: LedgerHarness, name: str, wait: str
) -> None:
    cache_profile(web, ledger, name)
    for each in (name, new_username()):
        response = web.api.get(f"/users/{each}?wait={wait}")
        assert response.status_code == 422
        assert [field["field"] for field in error_of(response)["fields"]] == ["wait"]


# Identifiers


def test_every_form_of_a_username_shares_a_copy(
    web: WebHarness, ledger: LedgerHarness, name: str
) -> None:
    found = cache_profile(web, ledger, name)
    web.api.get(f"/users/{name}")
    clear(web.store)
    link = quote(f"https://www.instagram.com/{name}/?igsh=abc", safe="")
    for form in (
        name,
        name.upper(),
        f"@{name.title()}",
        f"%40{name}",
        link,
        f"instagram.com/{name}",
    ):
        assert web.api.get(f"/users/{form}").json() == found
    assert web.contents() == {}


def test_digits_are_a_username(web: WebHarness, ledger: LedgerHarness) -> None:
    digits = str(10**9 + hash(new_username()) % 10**9)
    assert web.api.get(f"/users/{digits}", params={"wait": 0}).status_code == 202
    assert web.api.get(f"/users/@{digits}", params={"wait": 0}).status_code == 202
    [job] = list_jobs(web, kind="lookup")
    # For a DM, digits alone are a user id
    assert job["to"] == f"@{digits}"
    finish_lookup(ledger, job["id"])
    assert web.api.get(f"/users/{digits}").json()["username"] == digits


POSTS = [
    "DNZCmWE8gAB",
    "3700000000000000001",
    "3700000000000000001_40000000314",
    quote("https://www.instagram.com/p/DNZCmWE8gAB/?igsh=abc#x", safe=""),
    "https://www.instagram.com/reel/DNZCmWE8gAB/",
    "https://www.instagram.com/some.handle/p/DNZCmWE8gAB",
]


def test_every_form_of_a_post_shares_a_lookup(web: WebHarness) -> None:
    for form in POSTS:
        response = web.api.get(f"/posts/{form}", params={"wait": 0})
        assert response.status_code == 202, form
    [job] = list_jobs(web, kind="lookup")
    assert (job["post"], job["to"]) == ("3700000000000000001", None)


BAD_USERS = [
    "a..b",
    "x" * 31,
    "ü",
    "a%20b",
    "pk:314159",
    "none",
    "me%40example.com",
    "%F0%9F%98%80",
]
BAD_POSTS = ["abc", "some.handle", "0123", quote("https://example.com/p/DNZCmWE8gAB", safe="")]
BAD_POSTS += [quote("https://instagram.com/some.handle", safe=""), "DNZCmWE8gAB/more", "x" * 65]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        *((f"/users/{bad}", "username") for bad in BAD_USERS),
        *((f"/posts/{bad}", "shortcode") for bad in BAD_POSTS),
    ],
)
def test_an_invalid_identifier_is_rejected_by_name(web: WebHarness, path: str, field: str) -> None:
    response = web.api.get(path)
    assert (response.status_code, error_of(response)["code"]) == (422, "invalid_request")
    assert [each["field"] for each in error_of(response)["fields"]] == [field]
    assert web.contents() == {}


# Batches


def test_a_batch_is_in_order_with_an_error_for_each_failed_item(
    web: WebHarness, ledger: LedgerHarness, executor: ThreadPoolExecutor
) -> None:
    here, missing, twice = new_username(), new_username("missing"), new_username()
    names = [twice, here, "a..b", missing, twice.upper()]
    found = cache_profile(web, ledger, here)
    requests = executor.submit(web.api.get, "/users", params={"username": names})
    for job_id in pending_lookups(web, 2):
        if ledger.record(job_id).to == missing:
            fail_lookup(ledger, job_id, "user_not_found")
        else:
            finish_lookup(ledger, job_id)
    response = requests.result()
    items = response.json()["items"]
    assert (response.status_code, [each["username"] for each in items]) == (200, names)
    assert [bool(each["user"]) for each in items] == [True, True, False, False, True]
    codes = [each["error"] and each["error"]["code"] for each in items]
    assert codes == [None, None, "invalid_request", "not_found", None]
    assert items[1] == {
        "username": here,
        "user": found,
        "error": None,
        "age_seconds": 0,
        "warning": None,
    }
    assert items[3]["error"]["reason"] == "user_not_found"


def test_items_that_time_out_are_pending(web: WebHarness, ledger: LedgerHarness, name: str) -> None:
    cache_profile(web, ledger, name)
    params = {"username": [name, new_username()], "wait": "0.1"}
    there, pending = web.api.get("/users", params=params).json()["items"]
    assert (there["error"], pending["user"], pending["error"]["code"]) == (None, None, "pending")
    assert web.api.get(f"/jobs/{pending['error']['job_id']}").status_code == 200


@pytest.mark.parametrize("count", [0, 51])
def test_no_or_too_many_usernames_are_rejected(web: WebHarness, count: int) -> None:
    response = web.api.get("/users", params={"username": [f"u{n}" for n in range(count)]})
    assert response.status_code == 422
    assert [each["field"] for each in error_of(response)["fields"]] == ["username"]
    assert web.contents() == {}


def test_fifty_users_are_looked_up_at_once(web: WebHarness, ledger: LedgerHarness) -> None:
    names = [new_username() for _ in range(50)]
    items = web.api.get("/users", params={"username": names, "wait": 0}).json()["items"]
    assert {each["error"]["code"] for each in items} == {"pending"}
    assert len(list_jobs(web, kind="lookup", limit=100)) == 50
    # Those further back in the queue get a later Retry-After
    first, last = (items[place]["error"]["retry_after_seconds"] for place in (0, -1))
    assert first <= 5
    assert 150 <= last <= 250


def test_ndjson_items_are_sent_as_their_lookups_end(web: WebHarness, ledger: LedgerHarness) -> None:
    first, second, there = new_username(), new_username(), new_username()
    cache_profile(web, ledger, there)
    params = {"username": [first, second, there]}
    headers = {"Accept": "application/x-ndjson"}
    with web.api.stream("GET", "/users", params=params, headers=headers) as response:
        assert response.headers["Content-Type"] == "application/x-ndjson"
        lines = response.iter_lines()
        assert f'"{there}"' in next(lines)
        jobs_by_name = {ledger.record(job_id).to: job_id for job_id in pending_lookups(web, 2)}
        finish_lookup(ledger, jobs_by_name[first])
        assert f'"{first}"' in next(lines)
        fail_lookup(ledger, jobs_by_name[second], "user_not_found")
        assert '"not_found"' in next(lines)
        assert next(lines, None) is None


def test_a_suppressed_user_can_be_looked_up(
    web: WebHarness, ledger: LedgerHarness, name: str
) -> None:
    web.api.put(f"/suppressions/{name}").raise_for_status()
    cache_profile(web, ledger, name)
    assert web.api.get(f"/users/{name}").status_code == 200


# Everything else


def test_a_lookup_cannot_be_created_as_a_job(web: WebHarness) -> None:
    body = {"kind": "lookup", "account": "shop", "to": "some.handle", "text": "x"}
    response = web.api.post("/jobs", json=body)
    assert response.status_code == 422
    assert [each["field"] for each in error_of(response)["fields"]] == ["kind"]


def test_the_documentation_has_an_example_of_every_response(web: WebHarness) -> None:
    document = web.http.get("/openapi.json").json()
    shared = document["components"]["responses"]
    for path in ("/users/{username}", "/posts/{shortcode}"):
        responses = document["paths"][path]["get"]["responses"]
        assert {"200", "202", "304", "403", "404", "422", "429", "502", "503"} < set(responses)
        for status in set(responses) - {"304"}:
            shown = shared[status] if "$ref" in responses[status] else responses[status]
            assert "example" in shown["content"]["application/json"], (path, status)
            assert "schema" in shown["content"]["application/json"], (path, status)
        assert "head" not in document["paths"][path]
    assert set(document["components"]["schemas"]["UserView"]["properties"]) == set(PROFILE)
    assert (
        "application/x-ndjson"
        in (document["paths"]["/users"]["get"]["responses"]["200"]["content"])
    )
