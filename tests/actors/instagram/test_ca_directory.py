"""The CA directory: OpenSSL's file names, privacy, and which servers are trusted through it."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import certifi
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type as Text
from cryptography.x509.oid import NameOID

from actors.instagram import ca_directory as module
from actors.instagram.ca_directory import ca_directory, subject_hash
from actors.instagram.client import build_client, close_client
from actors.instagram.options import ClientOptions
from deploy.local.certificates import CertificateFiles, issue
from deploy.local.proxy import ConnectProxy

#: As `openssl x509 -subject_hash` says.
WELL_KNOWN = {
    "DigiCert Global Root G2": "607986c7",
    "ISRG Root X1": "4042bcee",
}
ODD = {
    "Ünïcode  and   SPACES": (Text.UTF8String, "a48f36bb"),
    " Of Wide Letters ": (Text.BMPString, "d8b15b80"),
    "printable": (Text.PrintableString, "6a818728"),
}


@pytest.fixture
def temp_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    module._plan.cache_clear()
    yield tmp_path / "tmp"
    module._plan.cache_clear()


def certificate(rdns: Sequence[Sequence[x509.NameAttribute[str]]]) -> str:
    """A self-signed certificate with this subject, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.RelativeDistinguishedName(entry) for entry in rdns])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def attribute(value: str, kind: Text = Text.UTF8String) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.COMMON_NAME, value, _type=kind)


def test_certifis_certificates_get_the_file_names_openssl_gives_them(temp_dir: Path) -> None:
    directory = ca_directory()
    assert directory is not None
    usual = Path(certifi.where()).read_text().count("BEGIN CERTIFICATE")
    assert len(list(directory.iterdir())) == usual
    for name, hashed in WELL_KNOWN.items():
        [found] = x509.load_pem_x509_certificates((directory / f"{hashed}.0").read_bytes())
        assert name in found.subject.rfc4514_string()


@pytest.mark.parametrize(("value", "kind", "hashed"), [(k, *v) for k, v in ODD.items()])
def test_unusual_names_hash_as_in_openssl(value: str, kind: Text, hashed: str) -> None:
    assert subject_hash(certificate([[attribute(value, kind)]])) == hashed


def test_a_multi_valued_rdn_is_sorted_before_hashing() -> None:
    unit = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Unit")
    long = attribute("L" * 60 + " " + "o" * 3)
    assert subject_hash(certificate([[unit, long], [attribute("Second")]])) == "374cfadc"


def test_the_directory_is_private_and_created_once(temp_dir: Path) -> None:
    first = ca_directory()
    assert first is not None
    assert first.stat().st_mode & 0o777 == 0o700
    made = first.stat().st_ino
    assert ca_directory() == first
    assert first.stat().st_ino == made
    assert list(temp_dir.iterdir()) == [first]


def test_a_deleted_file_is_restored(temp_dir: Path) -> None:
    directory = ca_directory()
    assert directory is not None
    one = min(directory.iterdir())
    before = one.read_bytes()
    one.unlink()
    assert ca_directory() == directory
    assert one.read_bytes() == before
    assert list(temp_dir.iterdir()) == [directory]


def test_a_directory_that_others_can_write_to_is_not_used(temp_dir: Path) -> None:
    directory = ca_directory()
    assert directory is not None
    directory.chmod(0o770)
    assert ca_directory() is None
    directory.rename(temp_dir / "elsewhere")
    (temp_dir / "elsewhere").chmod(0o700)
    directory.symlink_to(temp_dir / "elsewhere")
    assert ca_directory() is None


def test_processes_may_create_the_directory_concurrently(temp_dir: Path) -> None:
    directory, files = module._plan(certifi.where())
    with ThreadPoolExecutor(8) as many:
        for made in [many.submit(module._create, directory, files) for _ in range(8)]:
            made.result()
    assert module._is_intact(directory, files)
    assert list(temp_dir.iterdir()) == [directory]


def test_a_bundle_with_a_damaged_certificate_is_not_split(temp_dir: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert ca_directory(str(bundle)) is None
    assert list(temp_dir.iterdir()) == []


@pytest.mark.parametrize("more", ["-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", ""])
def test_a_bundle_with_other_content_is_not_split(
    temp_dir: Path, tmp_path: Path, more: str
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text((certificate([[attribute("One")]]) if more else "no certificate") + more)
    assert ca_directory(str(bundle)) is None
    assert ca_directory(str(tmp_path)) is None
    assert list(temp_dir.iterdir()) == []


@pytest.mark.parametrize("known", [True, False])
def test_only_servers_with_a_trusted_ca_get_requests(
    temp_dir: Path, tmp_path: Path, known: bool
) -> None:
    files = issue(tmp_path / "server", ["*.instagram.com"])
    other = issue(tmp_path / "other", ["*.instagram.com"])
    bundle = tmp_path / "bundle.pem"
    trusted = (other, files) if known else (other,)
    bundle.write_text(Path(certifi.where()).read_text() + "".join(_pem(entry) for entry in trusted))
    received: list[bytes] = []

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # a client without this CA resets or closes the connection
            if data := await reader.read(24):
                received.append(data)
        writer.close()

    async def steps() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(files.leaf, files.key)
        context.set_alpn_protocols(["h2"])
        server = await asyncio.start_server(receive, "127.0.0.1", 0, ssl=context)
        address = server.sockets[0].getsockname()
        proxy = ConnectProxy(lambda _host, _port: address)
        await proxy.start()
        client = await build_client(ClientOptions(f"http://127.0.0.1:{proxy.port}", str(bundle)))
        with pytest.raises(httpx.TransportError):
            await client.private.get("https://i.instagram.com/")
        await close_client(client)
        await proxy.close()
        server.close()

    asyncio.run(steps())
    assert received == ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] if known else [])
    assert len(list(temp_dir.iterdir())) == 1


def _pem(files: CertificateFiles) -> str:
    return files.ca.read_text()
