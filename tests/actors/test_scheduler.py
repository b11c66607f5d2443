"""The scheduler's alarm never ends its process."""

from __future__ import annotations

import subprocess
import sys

from tests.support.processes import ROOT

#: Stops a scheduler whose finalization takes longer than its alarm.
_STOP = """
import signal, time
import actors.scheduler as scheduler
class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(1)
slow = Slow()
steady = scheduler.SteadyScheduler(actors=[])
signal.setitimer(signal.ITIMER_REAL, 0.3)
scheduler._exit(signal.SIGTERM, None)
"""


def test_a_tick_that_falls_due_while_the_process_exits_does_not_kill_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STOP], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_alarm_has_a_handler_before_it_is_set() -> None:
    # Given a scheduler that has not scheduled anything yet, and an alarm
    ring = (
        "import os, signal, actors.scheduler as scheduler;"
        "steady = scheduler.SteadyScheduler(actors=[]);"
        "os.kill(os.getpid(), signal.SIGALRM);"
        "assert steady.alarm_q.get(timeout=5)"
    )
    # Then it takes it as a tick
    done = subprocess.run(
        [sys.executable, "-c", ring], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def run(code: str) -> None:
    """Run code in a process of its own, which must end well."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_second_signal_while_the_process_exits_does_not_kill_it() -> None:
    run(
        "import os, signal, actors.scheduler as scheduler\n"
        "class Slow:\n"
        "    def __del__(self, kill=os.kill, pid=os.getpid()):\n"
        "        kill(pid, signal.SIGTERM), kill(pid, signal.SIGINT)\n"
        "slow = Slow()\n"
        "scheduler._exit(signal.SIGTERM, None)\n"
    )


def test_a_run_is_skipped_while_redis_is_down() -> None:
    run(
        "import dramatiq, pendulum, actors.scheduler as scheduler\n"
        "from actors.registry import declare_actors, make_broker\n"
        "from deploy.local.wait import free_port\n"
        "from service.config.settings import Settings\n"
        "url = f'redis://127.0.0.1:{free_port()}/0'\n"
        "broker = make_broker(Settings.model_construct(redis_url=url))\n"
        "declare_actors(broker, scheduler._no_runtime)\n"
        "retention = broker.get_actor('retention')\n"
        "scheduler.SteadyScheduler(actors=[retention]).send_actors([retention], pendulum.now())\n"
    )
