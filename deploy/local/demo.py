"""`make demo`: the main job, end to end, and what each side saw of it."""

from __future__ import annotations

import json
import shutil
import time
from typing import Any

from deploy.local.procfile import ROOT
from deploy.local.sender import event, send
from deploy.local.stack import Stack
from deploy.local.wait import until


def main() -> int:
    """Run the main job once.

    Returns:
      0 when a paid event made exactly one DM and a verified callback, and an unpaid one none.
    """
    directory = ROOT / ".local" / "demo"
    shutil.rmtree(directory, ignore_errors=True)
    print("starting: valkey, fake Instagram, callback receiver, web, worker, scheduler ...")
    began = time.monotonic()
    with Stack(directory) as stack:
        print(f"ready after {time.monotonic() - began:.1f} s; logs in {directory}\n")
        try:
            _show(stack)
        except TimeoutError as late:
            print(f"\nFAILED: {late}")
            for process in stack.processes.values():
                print(f"--- {process.log}\n{process.log.read_text()[-3000:]}")
            return 1
    print("done: once in, once out, and told how it ended.")
    return 0


def _show(stack: Stack) -> None:
    hook = f"{stack.url}/webhooks/stripe"
    paid = event("checkout.session.completed")
    answer = send(hook, stack.webhook_secret, paid)
    _print("1  a paid checkout.session.completed, signed as Stripe does, was answered", answer.body)
    dm = until(stack.fake_instagram.dms, 60, "the DM")[0]
    _print("2  the fake Instagram received", dict(dm))
    callback = until(stack.receiver.received, 30, "the callback")[0]
    verified = "and the official Standard Webhooks library verified it"
    if not callback["verified"]:
        raise TimeoutError(f"a verified callback ({callback['reason']})")
    _print(f"3  the callback came {verified}", callback["event"])
    again = send(hook, stack.webhook_secret, paid)
    _print("4  the same event once more", again.body)
    unpaid = send(
        hook, stack.webhook_secret, event("checkout.session.completed.unpaid", id="evt_unpaid")
    )
    _print("5  an unpaid one", unpaid.body)
    if len(stack.fake_instagram.dms()) != 1 or unpaid.body["jobs"] or not again.body["duplicate"]:
        raise TimeoutError("exactly one DM")
    calls = stack.fake_instagram.log()
    versions = sorted({call["http_version"] for call in calls})
    print(
        f"   Instagram saw {len(calls)} calls, {len(stack.fake_instagram.logins())} login,"
        f" over HTTP/{' and HTTP/'.join(versions)}\n"
    )


def _print(title: str, content: Any) -> None:
    print(title)
    print("   " + json.dumps(content, indent=2, ensure_ascii=False).replace("\n", "\n   ") + "\n")
