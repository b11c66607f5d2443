"""A throw-away copy of the repository, in which one file at a time is mutated."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mutations.table import Mutation


class WorkingCopy:
    """A copy of the files that git tracks or would add, as they are on disk.

    Parameters:
      root: The copy's root.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seconds = itertools.count(int(time.time()))

    @contextmanager
    def mutated(self, mutation: Mutation) -> Iterator[None]:
        """Have one mutation in place.

        Raises:
          InvalidRow: As `Mutation.apply`.
        """
        path = self.root / mutation.file
        changed = mutation.apply(self.root)
        original = path.read_text()
        self._write(path, changed)
        try:
            yield
        finally:
            self._write(path, original)

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text)
        # Python takes bytecode for current by the source's size and whole second.
        second = next(self._seconds)
        os.utime(path, (second, second))


@contextmanager
def working_copy(repository: Path) -> Iterator[WorkingCopy]:
    """Copy a repository into a temporary folder, which is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        for name in _files(repository):
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(repository / name, target)
        yield WorkingCopy(Path(folder))


def _files(repository: Path) -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True)
    # Tracked files may have been deleted.
    return [name for name in listed.stdout.split("\0") if name and (repository / name).is_file()]
