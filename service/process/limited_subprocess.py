"""Runs programs that work on what others decide about, each in a process with resource limits.

A process serves one run, so its limits apply to that and whatever went wrong in it is gone. It is
isolated: no module and no secret of Heliograph is in it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

#: The process ends itself at its limit; after this long it is killed.
_GRACE_SECONDS: Final = 2

#: Sets the limits, then becomes the program.
_RUNNER: Final = str(Path(__file__).with_name("limited_program.py"))
#: The environment that a process gets: where a platform keeps libraries, and no secret.
_PASSED_VARIABLES: Final = ("LD_LIBRARY_PATH",)


async def run_limited(
    program: str, limits: Mapping[str, int], source: IO[bytes], result: IO[bytes]
) -> int:
    """Run a Python program in a process with limits; canceling this kills it.

    Parameters:
      program: Path of the file. Its first argument is `limits` as JSON.
      limits: What limited_program.py needs, and what else the program reads there.
      source: Its standard input.
      result: Its standard output, a file.

    Returns:
      Its exit code; negative if it was killed, as it is at a limit.

    Raises:
      OSError: No process could be started.
    """
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", _RUNNER, json.dumps(dict(limits)), program),
        stdin=source,
        stdout=result,
        stderr=DEVNULL,
        env={name: os.environ[name] for name in _PASSED_VARIABLES if name in os.environ},
    )
    try:
        async with asyncio.timeout(limits["seconds"] + _GRACE_SECONDS):
            return await child.wait()
    except TimeoutError:
        return -1
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
