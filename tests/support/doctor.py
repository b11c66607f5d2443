"""`heliograph` beside the processes of a stack."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from deploy.local.procfile import ROOT
from deploy.local.stack import Stack


def run_doctor(stack: Stack) -> int:
    """The exit code of `doctor`: 0 where it finds nothing wrong."""
    return run_command(stack, "doctor")


def run_command(stack: Stack, *arguments: str, environ: Mapping[str, str] | None = None) -> int:
    """The exit code of a command with the processes' environment.

    Parameters:
      arguments: The command's.
      environ: Additional environment variables.
    """
    command = [sys.executable, "-m", "service", *arguments]
    variables = {**stack.environ(), **(environ or {})}
    return subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, timeout=120, check=False
    ).returncode
