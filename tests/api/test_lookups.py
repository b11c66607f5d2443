"""Profiles and posts over HTTP: copies, one look-up for all who ask, waiting."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from service.jobs.model import Status
from tests.support.ledgers import SECOND, Books
from tests.support.lookups import PROFILE, error_of, fail, flying, jobs, known, land, new_name
from tests.support.web import API_KEY, Door

USER_FRESH, POST_FRESH = 300 * SECOND, 60 * SECOND


# One look-up


def test_a_profile_that_nobody_knows_is_looked_up_once_and_told_to_who_waits(
    door: Door, books: Books, name: str, asking: ThreadPoolExecutor
) -> None:
    # Given some who ask
    asked = [asking.submit(door.api.get, f"/users/{name}") for _ in range(5)]
    [job_id] = flying(door)
    # When it is found
    found = land(books, job_id)
    # Then all are told, by one job of the account that reads
    answers = [each.result() for each in asked]
    assert [(each.status_code, each.json()) for each in answers] == [(200, found)] * 5
    assert answers[0].headers["Content-Type"] == "application/json"
    assert answers[0].headers["Cache-Control"] in ("private, max-age=299", "private, max-age=300")
    assert answers[0].headers["Age"] == "0"
    assert "Warning" not in answers[0].headers
    [job] = jobs(door, kind="lookup")
    assert (job["status"], job["account"], job["to"]) == ("succeeded", "reader", name)


def test_two_processes_make_one_look_up(
    door: Door, another: Door, books: Books, name: str, asking: ThreadPoolExecutor
) -> None:
    asked = [
        asking.submit(each.api.get, f"/users/{name}") for each in (door, another) for _ in range(10)
    ]
    [job_id] = flying(door)
    found = land(books, job_id)
    assert [each.result().json() for each in asked] == [found] * 20
    assert len(jobs(door, kind="lookup")) == 1


def test_a_fresh_copy_needs_neither_a_look_up_nor_the_store(
    door: Door, books: Books, name: str
) -> None:
    found = known(door, books, name)
    first = door.api.get(f"/users/{name}")
    door.store.flushall()
    again = door.api.get(f"/users/{name}", params={"wait": 5})
    assert (first.json(), again.json()) == (found, found)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert door.contents() == {}


def test_a_stale_copy_is_told_at_once_while_one_look_up_runs(
    door: Door, another: Door, books: Books, name: str
) -> None:
    known(door, books, name)
    books.pass_time(USER_FRESH + SECOND)
    # When it is asked for by a process that has no copy of its own
    stale = [another.api.get(f"/users/{name}") for _ in range(3)]
    # Then it is told, and that it is stale
    assert [each.status_code for each in stale] == [200] * 3
    assert stale[0].headers["Warning"] == '110 - "Response is Stale"'
    assert int(stale[0].headers["Age"]) >= 301
    assert stale[0].headers["Cache-Control"] == "private, max-age=0"
    [job_id] = flying(door)
    land(books, job_id, full_name="Another Name")
    fresh = another.api.get(f"/users/{name}")
    assert (fresh.json()["full_name"], fresh.headers["Age"]) == ("Another Name", "0")
    assert fresh.headers["ETag"] != stale[0].headers["ETag"]


def test_a_post_is_fresh_for_a_minute(door: Door, another: Door, books: Books) -> None:
    pk = str(3_700_000_000_000_000_000 + hash(new_name()) % 10**9)
    assert door.api.get(f"/posts/{pk}", params={"wait": 0}).status_code == 202
    [job_id] = flying(door)
    claim = books.claim(job_id)
    assert (claim.job.post, claim.job.to) == (pk, "")
    post = {"pk": pk, "caption": "New glazes"}
    books.run(books.claims.finish(claim, Status.SUCCEEDED, result=post))
    assert door.api.get(f"/posts/{pk}").json() == post
    books.pass_time(POST_FRESH + SECOND)
    assert "Warning" in another.api.get(f"/posts/{pk}").headers


# Who has it already


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"other", "{}"', 'W/"x" , W/"{}"', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_content_that_is_known_is_not_told_again(
    door: Door, books: Books, name: str, form: str, method: str
) -> None:
    known(door, books, name)
    etag = door.api.get(f"/users/{name}").headers["ETag"]
    tags = {"If-None-Match": form.format(etag.strip('"'))}
    answer = door.api.request(method, f"/users/{name}", headers=tags)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == etag
    assert {"Age", "Cache-Control"} < set(map(str.title, answer.headers))
    assert "Content-Type" not in answer.headers


@pytest.mark.parametrize("given", ["other", '"other"', "", 'W/"other"', '"{}x"'])
def test_other_content_is_told(door: Door, books: Books, name: str, given: str) -> None:
    found = known(door, books, name)
    etag = door.api.get(f"/users/{name}").headers["ETag"].strip('"')
    headers = {"If-None-Match": given.format(etag)}
    assert door.api.get(f"/users/{name}", headers=headers).json() == found


def test_the_same_content_keeps_its_name_over_look_ups(
    door: Door, another: Door, books: Books, name: str
) -> None:
    known(door, books, name)
    etag = door.api.get(f"/users/{name}").headers["ETag"]
    books.pass_time(USER_FRESH + SECOND)
    another.api.get(f"/users/{name}")
    land(books, flying(door)[0])
    answer = another.api.get(f"/users/{name}", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.headers["Age"]) == (304, "0")


def test_a_head_tells_what_a_get_would_but_the_body(door: Door, books: Books, name: str) -> None:
    known(door, books, name)
    get, head = door.api.get(f"/users/{name}"), door.api.head(f"/users/{name}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(get.content))
    assert door.api.head(f"/users/{new_name()}", params={"wait": 0}).status_code == 202


def test_a_copy_is_for_those_with_a_key(door: Door, books: Books, name: str) -> None:
    known(door, books, name)
    door.api.get(f"/users/{name}")
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {API_KEY}"}):
        assert door.http.get(f"/users/{name}", headers=header).status_code == 401
    odd = {"Authorization": f"bearer  {API_KEY}"}
    assert door.http.get(f"/users/{name}", headers=odd).status_code == 200


# Waiting


def test_who_does_not_wait_is_told_where_the_look_up_is(
    door: Door, books: Books, name: str
) -> None:
    first = door.api.get(f"/users/{name}", params={"wait": 0})
    again = door.api.get(f"/users/{name}", headers={"Prefer": "respond-async, wait=0"})
    # Then both are told of one job
    [job_id] = flying(door)
    for answer in (first, again):
        assert answer.status_code == 202
        assert answer.headers["Location"] == f"/jobs/{job_id}"
        assert int(answer.headers["Retry-After"]) >= 1
        assert (answer.json()["status"], answer.json()["job_id"]) == ("pending", job_id)
    assert "Preference-Applied" not in first.headers
    assert again.headers["Preference-Applied"] == "wait=0"
    assert door.api.get(first.headers["Location"]).json()["kind"] == "lookup"
    found = land(books, job_id)
    assert door.api.get(f"/users/{name}").json() == found


def test_a_preference_holds_only_where_there_is_no_parameter(
    door: Door, name: str, books: Books, asking: ThreadPoolExecutor
) -> None:
    answer = door.api.get(f"/users/{name}", params={"wait": 0}, headers={"Prefer": "wait=20"})
    assert (answer.status_code, "Preference-Applied" in answer.headers) == (202, False)
    # A preference that waits is told that it was heard
    asked = asking.submit(door.api.get, f"/users/{name}", headers={"Prefer": 'Wait="100"'})
    land(books, flying(door)[0])
    assert asked.result().headers["Preference-Applied"] == "wait=25"


def test_who_comes_later_waits_for_as_long_as_he_wants_to(
    door: Door, books: Books, name: str, asking: ThreadPoolExecutor
) -> None:
    # Given a look-up whose first asker has gone
    door.api.get(f"/users/{name}", params={"wait": 0})
    short = asking.submit(door.api.get, f"/users/{name}", params={"wait": 0.2})
    long = asking.submit(door.api.get, f"/users/{name}", params={"wait": 20})
    assert short.result().status_code == 202
    # Then the other still hears of its end
    land(books, flying(door)[0])
    assert long.result().status_code == 200


@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "soon", ""])
def test_a_bad_wait_is_refused_by_its_name(door: Door, books: Books, name: str, wait: str) -> None:
    known(door, books, name)
    for each in (name, new_name()):
        answer = door.api.get(f"/users/{each}?wait={wait}")
        assert answer.status_code == 422
        assert [field["field"] for field in error_of(answer)["fields"]] == ["wait"]


# One name for one thing


def test_every_form_of_a_username_shares_a_copy(door: Door, books: Books, name: str) -> None:
    found = known(door, books, name)
    door.api.get(f"/users/{name}")
    door.store.flushall()
    link = quote(f"https://www.instagram.com/{name}/?igsh=abc", safe="")
    for form in (
        name,
        name.upper(),
        f"@{name.title()}",
        f"%40{name}",
        link,
        f"instagram.com/{name}",
    ):
        assert door.api.get(f"/users/{form}").json() == found
    assert door.contents() == {}


def test_digits_are_a_username(door: Door, books: Books) -> None:
    digits = str(10**9 + hash(new_name()) % 10**9)
    assert door.api.get(f"/users/{digits}", params={"wait": 0}).status_code == 202
    assert door.api.get(f"/users/@{digits}", params={"wait": 0}).status_code == 202
    [job] = jobs(door, kind="lookup")
    # Digits alone are somebody's number to a DM
    assert job["to"] == f"@{digits}"
    land(books, job["id"])
    assert door.api.get(f"/users/{digits}").json()["username"] == digits


POSTS = [
    "DNZCmWE8gAB",
    "3700000000000000001",
    "3700000000000000001_40000000314",
    quote("https://www.instagram.com/p/DNZCmWE8gAB/?igsh=abc#x", safe=""),
    "https://www.instagram.com/reel/DNZCmWE8gAB/",
    "https://www.instagram.com/some.handle/p/DNZCmWE8gAB",
]


def test_every_form_of_a_post_shares_a_look_up(door: Door) -> None:
    for form in POSTS:
        answer = door.api.get(f"/posts/{form}", params={"wait": 0})
        assert answer.status_code == 202, form
    [job] = jobs(door, kind="lookup")
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
def test_what_names_nothing_is_refused_by_its_name(door: Door, path: str, field: str) -> None:
    answer = door.api.get(path)
    assert (answer.status_code, error_of(answer)["code"]) == (422, "invalid_request")
    assert [each["field"] for each in error_of(answer)["fields"]] == [field]
    assert door.contents() == {}


# Several at once


def test_several_are_told_in_order_with_an_error_of_its_own_each(
    door: Door, books: Books, asking: ThreadPoolExecutor
) -> None:
    here, gone, twice = new_name(), new_name("missing"), new_name()
    names = [twice, here, "a..b", gone, twice.upper()]
    found = known(door, books, here)
    asked = asking.submit(door.api.get, "/users", params={"username": names})
    for job_id in flying(door, 2):
        if books.record(job_id).to == gone:
            fail(books, job_id, "user_not_found")
        else:
            land(books, job_id)
    answer = asked.result()
    items = answer.json()["items"]
    assert (answer.status_code, [each["username"] for each in items]) == (200, names)
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


def test_what_is_not_there_in_time_is_pending(door: Door, books: Books, name: str) -> None:
    known(door, books, name)
    params = {"username": [name, new_name()], "wait": "0.1"}
    there, pending = door.api.get("/users", params=params).json()["items"]
    assert (there["error"], pending["user"], pending["error"]["code"]) == (None, None, "pending")
    assert door.api.get(f"/jobs/{pending['error']['job_id']}").status_code == 200


@pytest.mark.parametrize("count", [0, 51])
def test_none_or_too_many_are_refused(door: Door, count: int) -> None:
    answer = door.api.get("/users", params={"username": [f"u{n}" for n in range(count)]})
    assert answer.status_code == 422
    assert [each["field"] for each in error_of(answer)["fields"]] == ["username"]
    assert door.contents() == {}


def test_fifty_are_looked_up_at_once(door: Door, books: Books) -> None:
    names = [new_name() for _ in range(50)]
    items = door.api.get("/users", params={"username": names, "wait": 0}).json()["items"]
    assert {each["error"]["code"] for each in items} == {"pending"}
    assert len(jobs(door, kind="lookup", limit=100)) == 50
    # Those who stand further back are told to come later
    first, last = (items[place]["error"]["retry_after_seconds"] for place in (0, -1))
    assert first <= 5
    assert 150 <= last <= 250


def test_lines_come_as_the_look_ups_end(door: Door, books: Books) -> None:
    first, second, there = new_name(), new_name(), new_name()
    known(door, books, there)
    params = {"username": [first, second, there]}
    headers = {"Accept": "application/x-ndjson"}
    with door.api.stream("GET", "/users", params=params, headers=headers) as answer:
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        lines = answer.iter_lines()
        assert f'"{there}"' in next(lines)
        jobs_by_name = {books.record(job_id).to: job_id for job_id in flying(door, 2)}
        land(books, jobs_by_name[first])
        assert f'"{first}"' in next(lines)
        fail(books, jobs_by_name[second], "user_not_found")
        assert '"not_found"' in next(lines)
        assert next(lines, None) is None


def test_who_is_not_to_be_written_to_may_be_looked_up(door: Door, books: Books, name: str) -> None:
    door.api.put(f"/suppressions/{name}").raise_for_status()
    known(door, books, name)
    assert door.api.get(f"/users/{name}").status_code == 200


# Beside look-ups


def test_a_look_up_cannot_be_asked_for_as_a_job(door: Door) -> None:
    body = {"kind": "lookup", "account": "shop", "to": "some.handle", "text": "x"}
    answer = door.api.post("/jobs", json=body)
    assert answer.status_code == 422
    assert [each["field"] for each in error_of(answer)["fields"]] == ["kind"]


def test_the_documentation_has_every_answer_with_an_example(door: Door) -> None:
    document = door.http.get("/openapi.json").json()
    for path in ("/users/{username}", "/posts/{shortcode}"):
        answers = document["paths"][path]["get"]["responses"]
        assert {"200", "202", "304", "403", "404", "422", "429", "502", "503"} < set(answers)
        for status in set(answers) - {"304", "default"}:
            assert "example" in answers[status]["content"]["application/json"], (path, status)
            assert "schema" in answers[status]["content"]["application/json"], (path, status)
        assert "head" not in document["paths"][path]
    assert set(document["components"]["schemas"]["UserView"]["properties"]) == set(PROFILE)
    assert (
        "application/x-ndjson"
        in (document["paths"]["/users"]["get"]["responses"]["200"]["content"])
    )
