"""503s tell what is certain, and the log repeats a cause seldom."""

from __future__ import annotations

import pytest
from redis.exceptions import OutOfMemoryError

from service.api.store_errors import LOG_SECONDS, CauseLog, explain
from service.redis.causes import Cause, cause_of

FULL = OutOfMemoryError("command not allowed", status_code="OOM")


class Clock:
    """A clock that a test moves."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize(
    ("refused", "changed", "certain"),
    [
        (True, False, "Nothing was stored"),
        (True, True, "Nothing is certain"),
        (False, False, "Nothing is certain"),
        (False, True, "Nothing is certain"),
    ],
)
def test_only_a_refusal_before_any_change_has_stored_nothing(
    refused: bool, changed: bool, certain: str
) -> None:
    said = explain(Cause("x", "because", refused=refused), changed=changed)
    assert said.startswith(certain)
    assert "because" in said


def test_a_cause_is_logged_once_and_then_counted(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    log = CauseLog(clock)
    # When a thousand requests meet one cause, and one another
    for _ in range(1_000):
        log.add(cause_of(FULL), "Nothing was stored: full.", FULL)
    log.add(cause_of(TimeoutError()), "Nothing is certain: slow.", TimeoutError())
    # Then each is one line
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "OOM command not allowed" in lines[0]
    assert "not_logged=0" in lines[0]
    # And the next line of a cause tells how many there were
    clock.seconds += LOG_SECONDS
    log.add(cause_of(FULL), "Nothing was stored: full.", FULL)
    assert "not_logged=999" in capsys.readouterr().out
