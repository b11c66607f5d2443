"""A deploy: old and new processes with different rules and leases overlap, and some are killed."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from deploy.local.wait import free_port, is_ready, until
from tests.chaos.cluster import WORKERS, Cluster
from tests.chaos.failpoints import VARIABLE, set_failpoint
from tests.chaos.sender import ChaosSender, NotAcknowledged, handle_of, paid_event
from tests.support.config_file import write_config

_OLD: Final = ("web", "scheduler", *WORKERS)
_NEW_TIMES: Final = {"LEASE_SECONDS": "3", "SETTLE_SECONDS": "2"}
_REFUND: Final = Path(__file__).parents[1] / "fixtures" / "stripe" / "charge.refunded.json"
_ADDED_RULE: Final = {
    "name": "refunded",
    "source": "stripe",
    "event": "charge.refunded",
    "action": "dm",
    "account": "shop",
    "to": "{{ object.metadata.instagram }}",
    "text": "Your money is on its way, {{ object.metadata.name }}!",
    "callback": "crm",
}


class Deploy:
    """A newer generation of processes beside the cluster's own, and events that reach both.

    Parameters:
      cluster: The older generation.
      directory: For the newer configuration and failpoints.
    """

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self._cluster = cluster
        self._dice = random.Random(cluster.seed)
        self._port = free_port()
        self._url = f"http://127.0.0.1:{self._port}"
        self.failpoints = directory / "newer-failpoints"
        self.failpoints.mkdir()
        self._config = write_config(directory / "newer.toml", _newer(cluster.document))

    def begin(self) -> None:
        """Start the new generation and wait until it serves."""
        variables = {
            **_NEW_TIMES,
            "HELIOGRAPH_CONFIG": str(self._config),
            "PORT": str(self._port),
            VARIABLE: str(self.failpoints),
        }
        for label in ("web-new", "scheduler-new", "worker-new"):
            self._cluster.start(label, variables)
        until(lambda: is_ready(self._url), 30, "the newer web process")

    def deliver(self, document: dict[str, Any], name: str) -> None:
        """Deliver an event to both, in either order or at once; they must agree on its jobs."""
        senders = [ChaosSender(self._cluster.stack), ChaosSender(self._cluster.stack, self._url)]
        self._dice.shuffle(senders)
        with ThreadPoolExecutor(self._dice.choice((1, 2))) as pool:
            one, other = pool.map(lambda sender: self._deliver(sender, document), senders)
        if one["jobs"] != other["jobs"]:
            self._cluster.fail([f"{document['id']} made {one['jobs']} and {other['jobs']}"])
        self._cluster.expected.dms[name] = one["jobs"]

    def deliver_to_new(self, document: dict[str, Any]) -> dict[str, Any]:
        """Deliver an event to the newer web process only."""
        return self._deliver(ChaosSender(self._cluster.stack, self._url), document)

    def kill_at(self, step: str, failpoints: Path, name: str) -> None:
        """Deliver paid events until a worker of one generation dies at a step."""
        failpoint = set_failpoint(failpoints, step)
        self._cluster.log(f"failpoint {step} in {failpoints.name}")
        for number in range(60):
            self.deliver(paid_event(f"{name}-{number}"), f"{name}-{number}")
            self._cluster.wait_settled(60)
            if not failpoint.exists():
                return
        self._cluster.fail([f"no worker reached {step} in {failpoints.name}"])

    def _deliver(self, sender: ChaosSender, document: dict[str, Any]) -> dict[str, Any]:
        try:
            return sender.deliver(document)
        except NotAcknowledged as error:
            self._cluster.fail([str(error)])


def test_events_that_reach_old_and_new_processes_make_one_dm_and_one_callback_each(
    tmp_path: Path, empty_store: str | None
) -> None:
    with Cluster(tmp_path / "stack", empty_store).open() as cluster:
        # Given a newer generation with other rules, texts and leases beside the old one
        deploy = Deploy(cluster, tmp_path)
        deploy.begin()
        # When events reach both, and workers of either generation die during a write
        for number in range(6):
            deploy.deliver(paid_event(f"both-{number}"), f"both-{number}")
            deploy.deliver(_refunded(f"refund-{number}"), f"refund-{number}")
        deploy.kill_at("after the write", cluster.failpoints, "old-dies")
        deploy.kill_at("after intent", deploy.failpoints, "new-dies")
        # And the old one stops while events still come in
        for number in range(4):
            deploy.deliver(paid_event(f"last-{number}"), f"last-{number}")
        ended = cluster.retire(*_OLD)
        # Then each event has made one DM and one callback
        assert set(ended.values()) <= {0, -15}, ended
        cluster.wait_settled(60)
        cluster.check_promises()
        # And an event that the old one accepted makes no more jobs at the new one
        again = deploy.deliver_to_new(paid_event("both-0"))
        assert again["duplicate"]
        assert again["jobs"] == cluster.expected.dms["both-0"]
        cluster.check_promises()


def _newer(document: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with its first rule renamed and reworded, and one more."""
    thanks, *others = document["rules"]
    text = thanks["text"].replace("Thank you, {{", "Many thanks, {{")
    assert text != thanks["text"]
    return {**document, "rules": [{**thanks, "name": "thanks", "text": text}, *others, _ADDED_RULE]}


def _refunded(name: str) -> dict[str, Any]:
    """A refund, for which only the newer configuration has a rule."""
    document: dict[str, Any] = json.loads(_REFUND.read_text())
    document["id"] = f"evt_{name}"
    document["data"]["object"]["metadata"] = {"instagram": handle_of(name), "name": name}
    return document
