"""`make demo`: runs the main job end to end and shows what each side received."""

from __future__ import annotations

import json
import shutil
import time
from typing import Any

from deploy.local.procfile import ROOT
from deploy.local.sender import event, send
from deploy.local.stack import Stack
from deploy.local.wait import until


class DemoFailedError(Exception):
    """A step of the demo had the wrong result."""


def main() -> int:
    """Run the main job once.

    Returns:
      0 when a paid event led to exactly one DM and one verified callback, and an unpaid event to
      neither; otherwise 1.
    """
    directory = ROOT / ".local" / "demo"
    shutil.rmtree(directory, ignore_errors=True)
    print("starting: valkey, fake Instagram, callback receiver, web, worker, scheduler ...")
    began = time.monotonic()
    with Stack(directory) as stack:
        print(f"ready after {time.monotonic() - began:.1f} s; logs in {directory}\n")
        try:
            _run_main_job(stack)
        except (TimeoutError, DemoFailedError) as error:
            print(f"\nFAILED: {error}")
            for process in stack.processes.values():
                print(f"--- {process.log}\n{process.log.read_text()[-3000:]}")
            return 1
    print("done: one event, one DM, one callback.")
    return 0


def _run_main_job(stack: Stack) -> None:
    url = f"{stack.url}/webhooks/stripe"
    paid = event("checkout.session.completed")
    accepted = send(url, stack.webhook_secret, paid)
    _print(
        "1  the response to a paid checkout.session.completed, signed as by Stripe", accepted.body
    )
    dm = until(stack.fake_instagram.dms, 60, "the DM")[0]
    _print("2  the fake Instagram received", dict(dm))
    callback = until(stack.receiver.received, 30, "the callback")[0]
    if not callback["verified"]:
        raise DemoFailedError(f"the callback was not verified: {callback['reason']}")
    _print("3  the callback, verified by the official Standard Webhooks library", callback["event"])
    duplicate = send(url, stack.webhook_secret, paid)
    _print("4  the response to the same event sent again", duplicate.body)
    unpaid = send(
        url, stack.webhook_secret, event("checkout.session.completed.unpaid", id="evt_unpaid")
    )
    _print("5  the response to an unpaid event", unpaid.body)
    if (
        len(stack.fake_instagram.dms()) != 1
        or unpaid.body["jobs"]
        or not duplicate.body["duplicate"]
    ):
        raise DemoFailedError(
            "there was not exactly one DM, or a duplicate or unpaid event made a job"
        )
    calls = stack.fake_instagram.log()
    versions = sorted({call["http_version"] for call in calls})
    print(
        f"   Instagram saw {len(calls)} calls, {len(stack.fake_instagram.logins())} login,"
        f" over HTTP/{' and HTTP/'.join(versions)}\n"
    )


def _print(title: str, content: Any) -> None:
    print(title)
    print("   " + json.dumps(content, indent=2, ensure_ascii=False).replace("\n", "\n   ") + "\n")
