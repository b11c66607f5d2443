"""The fake Instagram as a process: its proxy, its control port and its shutdown."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiograpi.exceptions import ClientConnectionError, ConnectProxyError

from deploy.local.child_process import request_json
from deploy.local.instagram.client import FakeInstagram
from deploy.local.wait import until
from tests.support.unmodified_client import client_for, shop_client


def connect(fake_instagram: FakeInstagram, target: str) -> socket.socket:
    """Request a tunnel from the proxy; the response is left unread."""
    address = urlsplit(fake_instagram.proxy_url)
    tunnel = socket.create_connection((str(address.hostname), address.port or 0), timeout=5)
    tunnel.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    return tunnel


def status_of(fake_instagram: FakeInstagram, target: str) -> int:
    with connect(fake_instagram, target) as tunnel, tunnel.makefile("rb") as answer:
        return int(answer.readline().split()[1])


@pytest.mark.parametrize(
    "target", ["example.com:443", "instagram.com.example.com:443", "i.instagram.com:80"]
)
def test_the_proxy_refuses_other_hosts(fake_instagram: FakeInstagram, target: str) -> None:
    assert status_of(fake_instagram, target) == 403
    assert fake_instagram.connects()[-1]["outcome"] == "forbidden"


def test_the_proxy_accepts_only_connect(fake_instagram: FakeInstagram) -> None:
    with pytest.raises(ValueError, match="405"):
        request_json(fake_instagram.proxy_url, "GET", "http://example.com/")
    assert fake_instagram.connects() == []


@pytest.mark.parametrize("host", ["i.instagram.com", "b.i.instagram.com", "rupload.facebook.com"])
def test_the_certificate_has_the_host_names_and_tls_is_1_3(
    fake_instagram: FakeInstagram, host: str
) -> None:
    context = ssl.create_default_context(cafile=fake_instagram.ca_path)
    context.set_alpn_protocols(["h2"])
    with connect(fake_instagram, f"{host}:443") as tunnel:
        assert tunnel.recv(1024).startswith(b"HTTP/1.1 200")
        with context.wrap_socket(tunnel, server_hostname=host) as secure:
            assert (secure.version(), secure.selected_alpn_protocol()) == ("TLSv1.3", "h2")


def test_the_servers_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    with FakeInstagram(tmp_path) as fake_instagram:
        assert fake_instagram.ca_path == tmp_path / "ca.pem"
    assert (tmp_path / "server.key").stat().st_mode & 0o777 == 0o600


def test_the_proxy_requires_credentials(tmp_path: Path) -> None:
    async def scenario(fake_instagram: FakeInstagram) -> None:
        async with client_for(fake_instagram) as client:
            with pytest.raises(ClientConnectionError):
                await client.login("shop", "shop-password")
        known = fake_instagram.proxy_url.replace("http://", "http://user:pass@")
        async with client_for(fake_instagram, proxy_url=known) as client:
            assert await client.login("shop", "shop-password")

    with FakeInstagram(tmp_path, proxy_credentials="user:pass") as fake_instagram:
        asyncio.run(scenario(fake_instagram))
        outcomes = [entry["outcome"] for entry in fake_instagram.connects()]
        assert outcomes[0] == "407"
        assert set(outcomes[1:]) <= {"407", "open", "closed"}
        assert len(fake_instagram.logins()) == 1


@pytest.mark.parametrize("fault", ["refuse", "407", "cut", "hang"])
def test_a_proxy_fault_blocks_every_call(fake_instagram: FakeInstagram, fault: str) -> None:
    fake_instagram.proxy_fault(fault)  # type: ignore[arg-type]

    async def scenario() -> None:
        async with client_for(fake_instagram) as client:
            client.read_timeout = 0.3
            with pytest.raises(Exception, match=r"(?i)curl|proxy"):
                await client.login("shop", "shop-password")
            fake_instagram.proxy_fault(None)
            client.read_timeout = 25
            assert await client.login("shop", "shop-password")

    asyncio.run(scenario())

    first, second, *_ = fake_instagram.connects()
    assert first["outcome"] == fault
    assert fake_instagram.log()[0]["connection"] == second["id"]


def test_cut_connections_are_reopened(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            before = fake_instagram.log()[-1]["connection"]
            assert fake_instagram.cut_connections() >= 1
            await client.account_info()
            assert fake_instagram.log("current_user")[-1]["connection"] != before

    asyncio.run(scenario())


def test_a_reset_starts_over(fake_instagram: FakeInstagram) -> None:
    fake_instagram.add_user("new.person", followers=3)
    fake_instagram.fault("*", error="spam")

    async def scenario() -> None:
        with pytest.raises(Exception, match="feedback"):
            async with shop_client(fake_instagram):
                pass
        fake_instagram.reset()
        assert fake_instagram.log() == []
        async with shop_client(fake_instagram) as client:
            with pytest.raises(Exception, match="not found"):
                await client.user_info_by_username_v1("new.person")

    asyncio.run(scenario())


def test_a_killed_client_leaves_state_and_log_consistent(fake_instagram: FakeInstagram) -> None:
    fake_instagram.fault("broadcast_text", delay_seconds=0.4)
    script = (
        "import asyncio, sys\n"
        "from deploy.local.instagram.client import FakeInstagramControl\n"
        "from aiograpi import Client\n"
        "async def main():\n"
        "    client = Client(proxy=sys.argv[1], tls_verify=sys.argv[2], request_timeout=0)\n"
        "    client.small_delay = lambda: asyncio.sleep(0)\n"
        "    await client.login('shop', 'shop-password')\n"
        "    await client.direct_send('after death', [1000001])\n"
        "asyncio.run(main())\n"
    )
    arguments = [
        sys.executable,
        "-c",
        script,
        fake_instagram.proxy_url,
        str(fake_instagram.ca_path),
    ]
    with subprocess.Popen(arguments) as victim:
        until(lambda: bool(fake_instagram.log("broadcast_text")))
        victim.kill()

    until(lambda: fake_instagram.log("broadcast_text")[0]["ended"] is not None)
    assert [entry["text"] for entry in fake_instagram.dms()] == ["after death"]
    assert fake_instagram.log("broadcast_text")[0]["gone"] is not None
    assert fake_instagram.overlaps() == []


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/users", {"username": "Not A Name"}, "a-z"),
        ("/users", {"username": "fine", "followers": "many"}, "followers"),
        ("/users", {"username": "fine", "shoe_size": 43}, "shoe_size"),
        ("/users", {"username": "fine", "pk": 1000001}, "jenny.rosen"),
        ("/media", {"owner": "nobody.here", "pk": 1}, "nobody.here"),
        ("/media", {"owner": "shop"}, "pk is missing"),
        ("/accounts", {"username": "fine"}, "password"),
        ("/faults", {"match": "comment", "effect": "spam"}, "unknown; use one of"),
        ("/faults", {"match": "comment", "effect": "hang", "often": 3}, "often"),
        ("/proxy", {"fault": "explode"}, "refuse"),
        ("/nowhere", {}, "unknown endpoint"),
    ],
)
def test_the_control_port_reports_invalid_requests(
    fake_instagram: FakeInstagram, path: str, body: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        request_json(fake_instagram.control_url, "POST", path, body)


def test_a_run_starts_quickly_and_ends_without_errors(tmp_path: Path) -> None:
    async def scenario(fake_instagram: FakeInstagram) -> None:
        async with shop_client(fake_instagram) as client:
            fake_instagram.fault("usernameinfo", "hang")
            client.read_timeout = 0.1
            with pytest.raises(ConnectProxyError):
                await client.user_info_by_username_v1("jenny.rosen")
            with connect(fake_instagram, "i.instagram.com:443") as tunnel:
                tunnel.recv(1024)
                tunnel.sendall(b"this is no TLS handshake")
            with connect(fake_instagram, "i.instagram.com:443"):
                pass

    begun = time.monotonic()
    with FakeInstagram(tmp_path) as fake_instagram:
        assert time.monotonic() - begun < 5
        asyncio.run(scenario(fake_instagram))
        half_open = connect(fake_instagram, "i.instagram.com:443")
        begun = time.monotonic()
        assert fake_instagram.close() == 0
        half_open.close()
    assert fake_instagram.child.stderr() == ""
    assert time.monotonic() - begun < 5


def test_a_dm_is_quick(fake_instagram: FakeInstagram) -> None:
    async def scenario() -> None:
        async with shop_client(fake_instagram) as client:
            jenny = await client.user_info_by_username_v1("jenny.rosen")
            for number in range(20):
                await client.direct_send(f"number {number}", [int(jenny.pk)])

    asyncio.run(scenario())

    # The fastest round trip, because a loaded machine slows down the others
    begun = [call["begun"] for call in fake_instagram.log("broadcast_text")]
    assert min(later - earlier for earlier, later in pairwise(begun)) < 0.05


def test_a_fake_instagram_does_not_outlive_its_parent(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from deploy.local.instagram.client import FakeInstagram\n"
        "fake_instagram = FakeInstagram(Path(sys.argv[1]))\n"
        "print(fake_instagram.control_url, flush=True)\n"
        "os._exit(0)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True
    )

    def gone() -> bool:
        try:
            request_json(ran.stdout.strip(), "GET", "/healthz")
        except OSError:
            return True
        return False

    until(gone)
