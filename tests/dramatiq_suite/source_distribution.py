"""Dramatiq's source distribution, which carries its tests: fetched, checked and unpacked."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.support.processes import ROOT

#: Ignored by git, and removed by `make clean`.
CACHE: Final = ROOT / ".local" / "dramatiq"
_DOWNLOAD_SECONDS: Final = 120


def unpack_tests(into: Path) -> None:
    """Write Dramatiq's test modules, of the version that requirements.txt pins, into a folder.

    Raises:
      RuntimeError: The source distribution is not in the cache, and cannot be downloaded.
    """
    with tarfile.open(_archive()) as archive:
        for member in archive.getmembers():
            path = Path(member.name)
            if path.parent.name == "tests" and path.name.startswith("test_"):
                content = archive.extractfile(member)
                assert content is not None
                (into / path.name).write_bytes(content.read())


def _archive() -> Path:
    """The archive, from the cache or the package index."""
    requirement = _requirement()
    cached = CACHE / f"dramatiq-{version('dramatiq')}.tar.gz"
    if not _is_pinned(cached, requirement):
        _download(requirement)
    assert _is_pinned(cached, requirement), f"{cached} is not what requirements.txt pins"
    return cached


def _requirement() -> str:
    """The lines of requirements.txt that pin Dramatiq and the hashes of its distributions."""
    pinned = re.search(r"^dramatiq==\S+ (\\\n +--hash=\S+ ?)+", _requirements(), re.MULTILINE)
    assert pinned is not None
    assert pinned[0].startswith(f"dramatiq=={version('dramatiq')} "), "another one is installed"
    return pinned[0]


def _requirements() -> str:
    return (ROOT / "requirements.txt").read_text()


def _is_pinned(archive: Path, requirement: str) -> bool:
    return archive.exists() and hashlib.sha256(archive.read_bytes()).hexdigest() in requirement


def _download(requirement: str) -> None:
    """Have pip download and check it, from the index that pip is configured with.

    Moved into the cache when it is complete: another run may look there at the same time.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=CACHE) as folder:
        pinned = Path(folder) / "requirements.txt"
        pinned.write_text(requirement)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
                *("--no-binary", "dramatiq", "--require-hashes"),
                *("--dest", folder, "--requirement", str(pinned)),
            ],
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                "Dramatiq's own tests could not be downloaded. This test needs the package index "
                f"once, to fetch what requirements.txt pins into {CACHE}. pip said: {done.stderr}"
            )
        for archive in Path(folder).glob("*.tar.gz"):
            archive.replace(CACHE / archive.name)
