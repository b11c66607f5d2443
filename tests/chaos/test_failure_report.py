"""A broken promise is told with all that is needed to find out why."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.chaos.cluster import Cluster


def test_a_broken_promise_is_told_with_the_seed_the_strikes_and_the_timeline(
    arena: Cluster,
) -> None:
    # Given a job whose worker died, and that is done
    name = f"told-{os.urandom(4).hex()}"
    trap = arena.arm_failpoint("after claim")
    job = arena.pay(name)
    arena.wait_triggered(trap)
    arena.ended(40)
    kept = arena.expected
    # When its DM is claimed to be one that nobody has sent
    arena.expected = replace(kept, dms={**kept.dms, f"not-{name}": kept.dms[name]})
    try:
        with pytest.raises(AssertionError) as failure:
            arena.keeps_its_promises()
    finally:
        arena.expected = kept
    # Then the message has it all
    said = str(failure.value)
    assert f"not-{name}: 0 DMs" in said
    assert f"CHAOS_SEED={arena.seed}" in said
    assert "trap after claim: SIGKILL to the process" in said
    assert f"{job}: {{" in said
    assert "'status': 'succeeded'" in said
    assert said.count("'status': 'running'") == 2
