"""Handlers of a client that resolves its challenge itself.

Requests are those of aiograpi (mixins/challenge.py, `challenge_resolve_simple` and
`challenge_bloks_redirect_dismiss`).
"""

from __future__ import annotations

from deploy.local.instagram.challenges import Challenge, close
from deploy.local.instagram.http import Reply, Request
from deploy.local.instagram.refusal import fail
from deploy.local.instagram.state import State
from deploy.local.instagram.users import Account

_WRONG_CODE = "Please check the code we sent you and try again."


def open_step(state: State, account: Account, _request: Request) -> Reply:
    """Show the challenge's step."""
    current = state.challenges.of(account.username)
    return close() if current is None else Reply(200, current.rules.step)


def submit_step(state: State, account: Account, request: Request) -> Reply:
    """Take a choice or a code."""
    current = state.challenges.of(account.username)
    if current is None:
        return close()
    if current.rules.way_back == "code":
        return _submit_code(state, account, current, request)
    # "This was me" ends what the app's OK would end; every other step stays.
    if current.rules.way_back != "resume" or str(request.form.get("choice")) != "0":
        return Reply(200, current.rules.step)
    state.challenges.end(account)
    return close()


def acknowledge(state: State, account: Account, _request: Request) -> Reply:
    """The same client's acknowledgement, which ends the challenge once the app has the OK."""
    current = state.challenges.of(account.username)
    if current is None:
        return close()
    if current.rules.way_back != "acknowledge" or not current.approved:
        return Reply(200, current.rules.step)
    state.challenges.end(account)
    return close()


def _submit_code(state: State, account: Account, current: Challenge, request: Request) -> Reply:
    if "security_code" not in request.form:
        step = {**current.rules.step, "step_name": "verify_email"}
        return Reply(200, step)
    if str(request.form["security_code"]) != current.code:
        return fail(400, _WRONG_CODE)
    state.challenges.end(account)
    return close()
