"""The webhook measurements, each for a moment."""

from __future__ import annotations

from pathlib import Path

from service.config.config import parse_config
from service.events.parsing import parse
from service.events.rules import RuleSet
from tests.bench import webhooks
from tests.bench.concurrency import ORIGINS, config_with_origins
from tests.bench.events import paid_event
from tests.bench.load import encoded
from tests.support.config_file import to_toml


def test_ours_and_the_baselines_take_the_same_load(tmp_path: Path) -> None:
    row = webhooks.accepts(tmp_path, rounds=1, seconds=0.1)
    baselines = [name for name, _ in webhooks.BASELINES.values()]
    assert list(row.figures) == [webhooks.OURS, webhooks.PLAIN, *baselines]
    assert all(rate > 0 for rate in row.figures.values())
    assert [goal.bound for goal in row.goals] == [webhooks.LEAST_OF_PLAIN, 0.75, 2.2, 4.0]


def test_every_call_of_ours_is_a_rejected_job_with_its_own_callback() -> None:
    rules = RuleSet(parse_config(to_toml(config_with_origins(8000))).rules)
    callbacks = []
    for number in range(1, ORIGINS + 1):
        event = parse("stripe", encoded(paid_event(type=f"call.{number}")), [])
        (draft,) = rules.plan("stripe", event).drafts
        assert draft.failure is not None
        callbacks.append(draft.callback)
    assert len(set(callbacks)) == ORIGINS
