"""`heliograph doctor` beside the processes of a stack."""

from __future__ import annotations

import subprocess
import sys

from deploy.local.procfile import ROOT
from deploy.local.stack import Stack


def run_doctor(stack: Stack) -> int:
    """Its exit code: 0 where it finds nothing wrong."""
    command = [sys.executable, "-m", "service", "doctor"]
    return subprocess.run(
        command, cwd=ROOT, env=stack.environ(), capture_output=True, timeout=120, check=False
    ).returncode
