"""The whole stack on one machine: embedded Valkey, fake Instagram, receiver, every process.

The store, the fake Instagram and the receiver listen on loopback, each on any free port. Nothing
needs root or Docker.
"""

from __future__ import annotations

import base64
import os
import secrets
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.state import SHOP_PASSWORD
from deploy.local.procfile import ROOT, Process, procfile_commands
from deploy.local.receiver import Receiver
from deploy.local.valkey import Valkey
from deploy.local.wait import free_port, is_ready, until

PROCESSES: Final = ("web", "worker", "scheduler")
CONFIG: Final = ROOT / "deploy" / "local" / "heliograph.toml"


class Stack:
    """A complete deployment, as a context manager.

    Parameters:
      directory: For logs, the store's files and the fake Instagram's CA certificate.
      processes: Which of the Procfile's processes to start.
      config: Path of the heliograph.toml.
      environ: Additional environment variables of the processes.
      redis_url: A Redis to use instead of the embedded Valkey.
      commands: Commands to use instead of the Procfile's, by process name.
    """

    def __init__(
        self,
        directory: Path,
        *,
        processes: Sequence[str] = PROCESSES,
        config: Path = CONFIG,
        environ: Mapping[str, str] | None = None,
        redis_url: str | None = None,
        commands: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self._process_names = processes
        self._config = config
        self._extra_environ = dict(environ or {})
        self._external_redis_url = redis_url
        self._commands = dict(commands or {})
        self._resources = ExitStack()
        self.port = free_port()
        self.webhook_secret = f"whsec_{secrets.token_hex(24)}"
        self.callback_secret = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
        self.api_key = secrets.token_hex(24)
        self._secret_key = secrets.token_hex(32)
        self.processes: dict[str, Process] = {}

    @property
    def url(self) -> str:
        """Base URL of the web process."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Start everything and wait until the web process is ready."""
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            if self._external_redis_url is None:
                self.store = self._resources.enter_context(Valkey(self.directory / "valkey"))
            self.redis_url = self._external_redis_url or self.store.url
            self.fake_instagram = self._resources.enter_context(
                FakeInstagram(self.directory, open_world=True)
            )
            self.receiver = self._resources.enter_context(Receiver(self.callback_secret))
            for name in self._process_names:
                self.start(name)
            if "web" in self._process_names:
                until(self.ready, what="the web process' readiness")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(
        self,
        name: str,
        label: str | None = None,
        environ: Mapping[str, str] | None = None,
        root: Path = ROOT,
    ) -> Process:
        """Start one of the Procfile's processes.

        Parameters:
          name: Its name in the Procfile.
          label: Its name here, if several of a kind run.
          environ: Additional environment variables.
          root: The source tree to run; another release has another one.
        """
        label = label or name
        variables = {**self.environ(), **(environ or {})}
        log = self.directory / f"{label}.log"
        commands = {**procfile_commands(root / "Procfile"), **self._commands}
        process = Process(label, commands[name], variables, log, root)
        self.processes[label] = process
        return process

    def ready(self) -> bool:
        """Whether `/readyz` returns 200.

        Raises:
          RuntimeError: The web process has exited; the message contains the end of its log.
        """
        process = self.processes.get("web")
        if process is not None and process.returncode is not None:
            raise RuntimeError(f"the web process ended: {process.log.read_text()[-2000:]}")
        return is_ready(self.url)

    def environ(self) -> dict[str, str]:
        """The environment of every process: only what a platform would set."""
        kept = ("PATH", "HOME", "LANG")
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.directory),
            "REDIS_URL": self.redis_url,
            "HELIOGRAPH_CONFIG": str(self._config),
            "SECRET_KEY": self._secret_key,
            "API_KEYS": f"local:{self.api_key}",
            "PORT": str(self.port),
            "STRIPE_WEBHOOK_SECRET": self.webhook_secret,
            "INSTAGRAM_USERNAME": "shop",
            "INSTAGRAM_PASSWORD": SHOP_PASSWORD,
            "INSTAGRAM_PROXY": self.fake_instagram.proxy_url,
            "INSTAGRAM_CA_BUNDLE": str(self.fake_instagram.ca_path),
            "INSTAGRAM_HUMAN_PACE": "off",
            "CALLBACK_URL": self.receiver.url,
            "CALLBACK_SECRET": self.callback_secret,
            "CALLBACK_ALLOW_HTTP": "on",
            "CALLBACK_ALLOW_CIDRS": "127.0.0.0/8",
            "PHOTO_ALLOW_CIDRS": "127.0.0.0/8",
            **self._extra_environ,
        }

    def close(self) -> None:
        """Stop everything: first all processes at once, then what they talk to."""
        for process in self.processes.values():
            process.signal(signal.SIGTERM)
        for process in self.processes.values():
            process.stop()
        self._resources.close()
