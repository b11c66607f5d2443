"""Keeps a key that is bound to accounts to what belongs to them.

What a path names, a job or an account, is checked here for every route, so that none can forget to:
what belongs to others is answered like what does not exist. A route whose path names no such thing
is closed to bound keys unless it says that it leaves the others out itself (`narrowed`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final

from starlette.requests import HTTPConnection

from service.api.callers import Caller
from service.dependencies import AppServices, get_services
from service.http.errors import ApiError
from service.jobs.queries import Page

#: Pages that are read for one that has something to show.
_MAX_PAGES: Final = 10


async def check_binding(connection: HTTPConnection, caller: Caller, *, narrowed: bool) -> None:
    """Refuse what belongs to accounts that the caller's key is not bound to.

    Parameters:
      connection: The request, whose route is known.
      caller: Its sender, whose key is bound.
      narrowed: Whether the route itself leaves out what belongs to others.

    Raises:
      ApiError: 404, what the path names belongs to others; 403, it names nothing of one account.
    """
    checked = False
    for name, value in connection.path_params.items():
        if check := _CHECKS.get(name):
            await check(get_services(connection), caller, value)
            checked = True
    if not checked and not narrowed:
        raise caller.not_bound_to("all accounts")


async def _check_job(services: AppServices, caller: Caller, job_id: str) -> None:
    account = (await services.job_accounts.of([job_id])).get(job_id)
    if account is None or not caller.key.sees(account):
        raise unknown_job()


async def _check_delivery(services: AppServices, caller: Caller, delivery_id: str) -> None:
    account = await services.job_accounts.of_delivery(delivery_id)
    if account is None or not caller.key.sees(account):
        raise unknown_delivery()


async def _check_account(_services: AppServices, caller: Caller, account: str) -> None:
    if not caller.key.sees(account):
        raise unknown_account()


#: Checks what a path names, by the name of the path's parameter.
_CHECKS: Final[Mapping[str, Callable[[AppServices, Caller, str], Awaitable[None]]]] = {
    "job_id": _check_job,
    "delivery_id": _check_delivery,
    "name": _check_account,
}


async def own_page(
    caller: Caller,
    read: Callable[..., Awaitable[Page]],
    own: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]],
    cursor: int | None,
) -> Page:
    """The first page from a cursor on with something that the caller may see, and only that.

    After many pages without, an empty one, from which the caller goes on.

    Parameters:
      read: Reads the page at a `cursor`.
      own: Leaves out of a page's items what the caller may not see.
      cursor: From the previous page; None for the first.
    """
    page = await read(cursor=cursor)
    if caller.key.accounts is None:
        return page
    for _ in range(_MAX_PAGES - 1):
        items = await own(page.items)
        if items or page.next is None:
            return Page(items, page.next)
        page = await read(cursor=page.next)
    return Page(await own(page.items), page.next)


async def own_deliveries(
    services: AppServices, caller: Caller, items: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Those of some deliveries, as the API shows them, that the caller may see."""
    accounts = await services.job_accounts.of({each["job_id"] for each in items if each["job_id"]})
    return [each for each in items if caller.key.sees(accounts.get(each["job_id"], ""))]


async def own_events(
    services: AppServices, caller: Caller, items: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Those of some events, as the API shows them, that the caller may see.

    An event belongs to an account that it made a job of, or for whom a rule would have made one.
    Of the others' part in it, their jobs and rules, nothing is shown.
    """
    if caller.key.accounts is None:
        return list(items)
    jobs = set(await own_job_ids(services, caller, {job for each in items for job in each["jobs"]}))
    rules = {rule.name for rule in services.config.rules if caller.key.sees(rule.account)}
    narrowed = [
        {
            **each,
            "jobs": [job for job in each["jobs"] if job in jobs],
            "rules": [note for note in each["rules"] if note["rule"] in rules],
        }
        for each in items
    ]
    return [each for each in narrowed if each["jobs"] or any(map(_concerns, each["rules"]))]


async def own_job_ids(services: AppServices, caller: Caller, job_ids: Collection[str]) -> list[str]:
    """The ids of those jobs that the caller may see."""
    if caller.key.accounts is None:
        return list(job_ids)
    accounts = await services.job_accounts.of(job_ids)
    return [job_id for job_id in job_ids if caller.key.sees(accounts.get(job_id, ""))]


def _concerns(note: Mapping[str, Any]) -> bool:
    # A rule whose condition is false has nothing to do with the event.
    return bool(note["outcome"] != "when_false")


def unknown_job() -> ApiError:
    """Build the 404 error for a job that does not exist."""
    return ApiError(404, "unknown_job", "There is no such job, or it is no longer kept.")


def unknown_delivery() -> ApiError:
    """Build the 404 error for a delivery that does not exist."""
    message = "There is no such delivery, or it is no longer kept."
    return ApiError(404, "unknown_delivery", message)


def unknown_account() -> ApiError:
    """Build the 404 error for an account that is not configured."""
    return ApiError(
        404,
        "unknown_account",
        "No account of this name is configured: GET /accounts lists them.",
    )
