"""Splits a CA bundle into a directory, so that a connection reads only the certificate it needs.

libcurl parses the whole bundle for every connection: 3 ms of the event loop's time, and most of a
MiB for as long as the connection lives. From a directory it reads only the CA that signed, by the
hash of its name (X509_LOOKUP_hash_dir of OpenSSL and BoringSSL; `openssl rehash` makes such
directories).

The directory is a copy in the system's temporary directory. It is used only if it is private to
this user and intact, and is created again otherwise; if that fails, the bundle is used as it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Final

import certifi
from OpenSSL import crypto

from service.logging.setup import get_logger

_CERTIFICATE: Final = re.compile(
    "-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL
)

_log = get_logger(__name__)


def ca_directory(bundle: str | None = None) -> Path | None:
    """Return a directory with every certificate of a bundle.

    Parameters:
      bundle: Path of a PEM file; None for certifi's bundle.

    Returns:
      The directory, intact at this moment; None when it cannot be created.
    """
    try:
        directory, files = _plan(bundle or certifi.where())
        if not _is_intact(directory, files):
            _create(directory, files)
    except (OSError, ValueError) as error:
        _log.debug("no CA directory; using the CA bundle", error=type(error).__name__)
        return None
    return directory


def subject_hash(pem: str) -> str:
    """The hash by which OpenSSL names a certificate's file (`X509_NAME_hash`), in hexadecimal.

    Raises:
      ValueError: `pem` is not a certificate.
    """
    try:
        certificate = crypto.load_certificate(crypto.FILETYPE_PEM, pem.encode())
    except crypto.Error as error:
        raise ValueError("not a certificate") from error
    return f"{certificate.subject_name_hash():08x}"


@cache
def _plan(bundle: str) -> tuple[Path, dict[str, bytes]]:
    """The directory's path, and its content by file name."""
    text = Path(bundle).read_text("utf-8", "replace")
    certificates = _CERTIFICATE.findall(text)
    if not certificates or len(certificates) != text.count("-----BEGIN"):
        raise ValueError("the bundle does not consist of certificates only")
    same_hash: Counter[str] = Counter()
    files = {}
    for certificate in certificates:
        name_hash = subject_hash(certificate)
        files[f"{name_hash}.{same_hash[name_hash]}"] = certificate.encode()
        same_hash[name_hash] += 1
    content_hash = hashlib.sha256(b"".join(sorted(files.values()))).hexdigest()[:16]
    name = f"heliograph-authorities-{os.geteuid()}-{content_hash}"
    return Path(tempfile.gettempdir()) / name, files


def _is_intact(directory: Path, files: dict[str, bytes]) -> bool:
    """Whether the directory exists and is complete.

    Raises:
      PermissionError: Another user may have written to it.
    """
    try:
        status = directory.lstat()
    except FileNotFoundError:
        return False
    private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
    if not private or status.st_uid != os.geteuid():
        raise PermissionError("the directory is not private to this user")
    return {entry.name for entry in os.scandir(directory)} == files.keys()


def _create(directory: Path, files: dict[str, bytes]) -> None:
    """Create the directory atomically; other processes may be doing the same."""
    draft = Path(tempfile.mkdtemp(prefix=f"{directory.name}-", dir=directory.parent))
    try:
        for name, pem in files.items():
            (draft / name).write_bytes(pem)
        _publish(draft, directory, files)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _publish(draft: Path, directory: Path, files: dict[str, bytes]) -> None:
    try:
        draft.rename(directory)
    except OSError:
        if _is_intact(directory, files):
            return  # another process has created it
        damaged = draft.with_suffix(".damaged")
        directory.rename(damaged)
        draft.rename(directory)
        shutil.rmtree(damaged, ignore_errors=True)
