"""No process leaves its memory in a core dump."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

from service.process import limited_program
from tests.support.processes import ROOT

#: Prints whether the process is dumpable (PR_GET_DUMPABLE), and its limit of core dumps.
REPORT = """
import ctypes, resource
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that might dump core."""

    def allow_core_dumps() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": os.defpath},
        preexec_fn=allow_core_dumps,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_process_is_not_dumpable_and_cannot_become_so() -> None:
    done = run(
        "from service.process.core_dumps import disable_core_dumps; disable_core_dumps()" + REPORT
    )
    assert done.stdout.split() == ["0", "0", "0"]


def test_the_command_line_is_not_dumpable(tmp_path: Path) -> None:
    (tmp_path / "heliograph.toml").touch()
    path = str(tmp_path / "heliograph.toml")
    done = run(f"from service.cli import main; main(['check', '--config', {path!r}])" + REPORT)
    assert done.stdout.splitlines()[-1].split() == ["0", "0", "0"]


def test_the_process_that_decodes_photos_of_strangers_is_not_dumpable() -> None:
    limits = {"memory_bytes": 2**32, "cpu_seconds": 9, "seconds": 9, "output_bytes": 9}
    limited = (
        f"import runpy; runpy.run_path({limited_program.__file__!r})['limit_resources']({limits})"
    )
    assert run(limited + REPORT).stdout.split() == ["0", "0", "0"]


def test_a_process_that_manages_it_writes_none_either() -> None:
    code = """
import multiprocessing
from service.process.core_dumps import disable_core_dumps
if __name__ == "__main__":
    child = multiprocessing.get_context("fork").Process(target=disable_core_dumps)
    child.start()
    child.join()
"""
    assert run(code + REPORT).stdout.split()[1:] == ["0", "0"]


def test_a_crash_says_that_no_core_was_dumped() -> None:
    done = run(
        "import os, signal\nfrom service.process.core_dumps import disable_core_dumps\n"
        "disable_core_dumps(); os.kill(os.getpid(), signal.SIGSEGV)"
    )
    assert done.returncode == -signal.SIGSEGV
    assert not os.WCOREDUMP(-done.returncode)


def test_its_own_files_in_proc_remain_readable() -> None:
    done = run(
        "from service.process.core_dumps import disable_core_dumps; disable_core_dumps()\n"
        "import os, pathlib, subprocess, sys\n"
        "pathlib.Path('/proc/self/environ').read_bytes(), os.listdir('/proc/self/fd')\n"
        "print(pathlib.Path('/proc/self/statm').read_text().count(' '))\n"
        "subprocess.run([sys.executable, '-c', ''], check=True)\n"
    )
    assert (done.stdout, done.stderr) == ("6\n", "")
