"""Which unused resources are to be closed, and in which order."""

from __future__ import annotations

from contextlib import ExitStack

from actors.idle_tracker import IdleTracker

FOREVER_SECONDS = 1e9


def use(tracker: IdleTracker, *names: str) -> None:
    """Use resources one after the other."""
    for name in names:
        with tracker.using(name):
            pass


def test_of_too_many_the_longest_unused_are_due() -> None:
    tracker = IdleTracker(max_idle=2, idle_seconds=FOREVER_SECONDS)
    use(tracker, "a", "b", "c", "a", "d")
    assert tracker.due() == ["b", "c"]


def test_what_was_unused_for_too_long_is_due_however_few_there_are() -> None:
    tracker = IdleTracker(max_idle=10, idle_seconds=0)
    use(tracker, "a", "b")
    assert tracker.due() == ["a", "b"]


def test_a_resource_is_not_due_while_anybody_uses_it() -> None:
    tracker = IdleTracker(max_idle=0, idle_seconds=0)
    with tracker.using("a"):
        use(tracker, "a")
        assert tracker.due() == []
    assert tracker.due() == ["a"]


def test_a_resource_that_is_used_again_meanwhile_cannot_be_taken() -> None:
    tracker = IdleTracker(max_idle=0, idle_seconds=0)
    use(tracker, "a", "b")
    due = tracker.due()
    with tracker.using("a"):
        assert [tracker.take(name) is not None for name in due] == [False, True]
    assert [tracker.take(name) is not None for name in due] == [True, False]


def test_a_resource_that_could_not_be_closed_is_the_first_due_next_time() -> None:
    tracker = IdleTracker(max_idle=0, idle_seconds=FOREVER_SECONDS)
    use(tracker, "a", "b")
    since = tracker.take("a")
    assert since is not None
    use(tracker, "c")
    tracker.put_back("a", since)
    assert tracker.due() == ["a", "b", "c"]


def test_a_resource_in_use_is_not_put_back() -> None:
    tracker = IdleTracker(max_idle=0, idle_seconds=0)
    with ExitStack() as uses:
        use(tracker, "a")
        since = tracker.take("a")
        assert since is not None
        uses.enter_context(tracker.using("a"))
        tracker.put_back("a", since)
        assert tracker.due() == []
