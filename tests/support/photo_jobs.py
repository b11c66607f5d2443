"""Photo DMs through a stack's API."""

from __future__ import annotations

import os
from typing import Any

from deploy.local.instagram.records import DmRecord
from tests.support.scenario import Scenario


def known_recipient(scenario: Scenario) -> str:
    """A recipient with whom the account has a thread."""
    name = f"f{os.urandom(6).hex()}"
    scenario.stack.fake_instagram.add_user(name)
    assert scenario.wait_final(scenario.create_dm(to=name))["status"] == "succeeded"
    return name


def by_url(scenario: Scenario, to: str, url: str, **wanted: Any) -> str:
    """Create a photo DM by URL; return the job's id."""
    job = {"kind": "dm", "account": "shop", "to": to, "callback": "crm", "photo": url, **wanted}
    return str(scenario.api.post("/jobs", json=job).raise_for_status().json()["id"])


def photos_to(scenario: Scenario, to: str) -> list[DmRecord]:
    """The photos that a recipient has received."""
    dms = scenario.stack.fake_instagram.dms()
    return [dm for dm in dms if dm["kind"] == "photo" and dm["recipients"] == [to]]
