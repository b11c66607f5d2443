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
import ssl
import stat
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import certifi

from service.logging.setup import get_logger

#: Tags of the kinds of text whose case and spaces do not count in a name, and how each is encoded.
_TEXTS: Final = {
    12: "utf-8",
    19: "ascii",
    20: "latin-1",
    22: "ascii",
    26: "ascii",
    28: "utf-32-be",
    30: "utf-16-be",
}
_UTF8, _SEQUENCE, _SET, _VERSION = 12, 0x30, 0x31, 0xA0
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
    """What OpenSSL calls a certificate's file after: `X509_NAME_hash`, in hexadecimal.

    Parameters:
      pem: The certificate.

    Raises:
      ValueError: It is none.
    """
    [(_, signed)] = _values(ssl.PEM_cert_to_DER_cert(pem))
    (_, certificate), *_ = _values(signed)
    fields = [entry for entry in _values(certificate) if entry[0] != _VERSION]
    _serial, _algorithm, _issuer, _validity, (_, subject), *_ = fields
    canonical = b"".join(_canonical_set(content) for _, content in _values(subject))
    # An address of a file, and no proof of anything: the signature is checked as always.
    digest = hashlib.sha1(canonical, usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


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
            return  # another process was faster
        damaged = draft.with_suffix(".damaged")
        directory.rename(damaged)
        draft.rename(directory)
        shutil.rmtree(damaged, ignore_errors=True)


def _canonical_set(content: bytes) -> bytes:
    entries = sorted(_canonical_entry(entry) for _, entry in _values(content))
    return _encoded(_SET, b"".join(entries))


def _canonical_entry(entry: bytes) -> bytes:
    """One attribute of a name as `x509_name_canon` has it: in UTF-8, lower case, single spaces."""
    (kind, oid), (tag, value) = _values(entry)
    if tag in _TEXTS:
        text = value.decode(_TEXTS[tag]).encode()
        tag, value = _UTF8, b" ".join(text.lower().split())
    return _encoded(_SEQUENCE, _encoded(kind, oid) + _encoded(tag, value))


def _values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The DER values that stand side by side: their tags and contents."""
    while data:
        tag, length, begin = data[0], data[1], 2
        if length & 0x80:
            begin += length & 0x7F
            length = int.from_bytes(data[2:begin], "big")
        yield tag, data[begin : begin + length]
        data = data[begin + length :]


def _encoded(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    long = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(long))) + long + content
