"""The report of a broken promise has all that is needed to find out why."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.chaos.cluster import Cluster


def test_a_report_has_the_seed_the_faults_and_the_timeline(
    cluster: Cluster,
) -> None:
    # Given a job that is done although its worker died
    name = f"report-{os.urandom(4).hex()}"
    failpoint = cluster.arm_failpoint("after claim")
    job = cluster.send_payment(name)
    cluster.wait_triggered(failpoint)
    cluster.wait_settled(40)
    kept = cluster.expected
    # When its DM is looked for under a text that was never sent
    cluster.expected = replace(kept, dms={**kept.dms, f"not-{name}": kept.dms[name]})
    try:
        with pytest.raises(AssertionError) as failure:
            cluster.check_promises()
    finally:
        cluster.expected = kept
    # Then the message has it all
    report = str(failure.value)
    assert f"not-{name}: 0 DMs" in report
    assert f"CHAOS_SEED={cluster.seed}" in report
    assert "failpoint after claim: SIGKILL to the process" in report
    assert f"{job}: {{" in report
    assert "'status': 'succeeded'" in report
    assert report.count("'status': 'running'") == 2


def test_a_broken_promise_is_reported_once(cluster: Cluster) -> None:
    # Given a test that failed over a DM that nobody sent
    kept = cluster.expected
    cluster.expected = replace(kept, dms={**kept.dms, "never-sent": ["job_unknown"]})
    with pytest.raises(AssertionError, match="never-sent"):
        cluster.check_promises()
    # When the next test checks the same cluster
    cluster.check_promises()
    # Then nothing is left of it
    cluster.recover()
    assert "never-sent" not in cluster.expected.dms
