"""`python -m tests.chaos.web`: the web process with failpoints at its steps."""

from __future__ import annotations

import sys

from service.web import main
from tests.chaos.failpoints import WEB_STEPS, wrap_steps

if __name__ == "__main__":
    wrap_steps(WEB_STEPS)
    sys.exit(main())
