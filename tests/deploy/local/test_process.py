"""The stand-in as a process: its proxy, its control port, its end."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiograpi.exceptions import ClientConnectionError, ConnectProxyError

from deploy.local.child_process import request_json
from deploy.local.instagram.client import StandIn
from deploy.local.wait import until
from tests.support.unmodified_client import client_for, shop_client


def connect(standin: StandIn, target: str) -> socket.socket:
    """Ask the proxy for a tunnel; the answer's head is still to be read."""
    address = urlsplit(standin.proxy_url)
    tunnel = socket.create_connection((str(address.hostname), address.port or 0), timeout=5)
    tunnel.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    return tunnel


def status_of(standin: StandIn, target: str) -> int:
    with connect(standin, target) as tunnel, tunnel.makefile("rb") as answer:
        return int(answer.readline().split()[1])


@pytest.mark.parametrize(
    "target", ["example.com:443", "instagram.com.example.com:443", "i.instagram.com:80"]
)
def test_the_proxy_refuses_other_hosts(standin: StandIn, target: str) -> None:
    assert status_of(standin, target) == 403
    assert standin.connects()[-1]["outcome"] == "forbidden"


def test_the_proxy_only_knows_connect(standin: StandIn) -> None:
    with pytest.raises(ValueError, match="405"):
        request_json(standin.proxy_url, "GET", "http://example.com/")
    assert standin.connects() == []


@pytest.mark.parametrize("host", ["i.instagram.com", "b.i.instagram.com", "rupload.facebook.com"])
def test_the_certificate_carries_the_names_and_speaks_tls_1_3(standin: StandIn, host: str) -> None:
    context = ssl.create_default_context(cafile=standin.ca_path)
    context.set_alpn_protocols(["h2"])
    with connect(standin, f"{host}:443") as tunnel:
        assert tunnel.recv(1024).startswith(b"HTTP/1.1 200")
        with context.wrap_socket(tunnel, server_hostname=host) as secure:
            assert (secure.version(), secure.selected_alpn_protocol()) == ("TLSv1.3", "h2")


def test_the_servers_key_is_for_its_owner_only(tmp_path: Path) -> None:
    with StandIn(tmp_path) as standin:
        assert standin.ca_path == tmp_path / "ca.pem"
    assert (tmp_path / "server.key").stat().st_mode & 0o777 == 0o600


def test_the_proxy_asks_for_credentials(tmp_path: Path) -> None:
    async def scenario(standin: StandIn) -> None:
        async with client_for(standin) as client:
            with pytest.raises(ClientConnectionError):
                await client.login("shop", "shop-password")
        known = standin.proxy_url.replace("http://", "http://user:pass@")
        async with client_for(standin, proxy_url=known) as client:
            assert await client.login("shop", "shop-password")

    with StandIn(tmp_path, proxy_credentials="user:pass") as standin:
        asyncio.run(scenario(standin))
        outcomes = [each["outcome"] for each in standin.connects()]
        assert outcomes[0] == "407"
        assert set(outcomes[1:]) <= {"407", "open", "closed"}
        assert len(standin.logins()) == 1


@pytest.mark.parametrize("fault", ["refuse", "407", "cut", "hang"])
def test_a_proxy_fault_keeps_every_call_away(standin: StandIn, fault: str) -> None:
    standin.proxy_fault(fault)  # type: ignore[arg-type]

    async def scenario() -> None:
        async with client_for(standin) as client:
            client.read_timeout = 0.3
            with pytest.raises(Exception, match=r"(?i)curl|proxy"):
                await client.login("shop", "shop-password")
            standin.proxy_fault(None)
            client.read_timeout = 25
            assert await client.login("shop", "shop-password")

    asyncio.run(scenario())

    first, second, *_ = standin.connects()
    assert first["outcome"] == fault
    assert standin.log()[0]["connection"] == second["id"]


def test_cut_connections_are_opened_anew(standin: StandIn) -> None:
    async def scenario() -> None:
        async with shop_client(standin) as client:
            before = standin.log()[-1]["connection"]
            assert standin.cut_connections() >= 1
            await client.account_info()
            assert standin.log("current_user")[-1]["connection"] != before

    asyncio.run(scenario())


def test_a_reset_starts_over(standin: StandIn) -> None:
    standin.add_user("new.person", followers=3)
    standin.fault("*", error="spam")

    async def scenario() -> None:
        with pytest.raises(Exception, match="feedback"):
            async with shop_client(standin):
                pass
        standin.reset()
        assert standin.log() == []
        async with shop_client(standin) as client:
            with pytest.raises(Exception, match="not found"):
                await client.user_info_by_username_v1("new.person")

    asyncio.run(scenario())


def test_a_clients_death_leaves_the_world_and_its_log_whole(standin: StandIn) -> None:
    standin.fault("broadcast_text", delay_seconds=0.4)
    script = (
        "import asyncio, sys\n"
        "from deploy.local.instagram.client import StandInControl\n"
        "from aiograpi import Client\n"
        "async def main():\n"
        "    client = Client(proxy=sys.argv[1], tls_verify=sys.argv[2], request_timeout=0)\n"
        "    client.small_delay = lambda: asyncio.sleep(0)\n"
        "    await client.login('shop', 'shop-password')\n"
        "    await client.direct_send('from the grave', [1000001])\n"
        "asyncio.run(main())\n"
    )
    arguments = [sys.executable, "-c", script, standin.proxy_url, str(standin.ca_path)]
    with subprocess.Popen(arguments) as victim:
        until(lambda: bool(standin.log("broadcast_text")))
        victim.kill()

    until(lambda: standin.log("broadcast_text")[0]["ended"] is not None)
    assert [each["text"] for each in standin.dms()] == ["from the grave"]
    assert standin.log("broadcast_text")[0]["gone"] is not None
    assert standin.overlaps() == []


@pytest.mark.parametrize(
    ("path", "body", "complaint"),
    [
        ("/users", {"username": "Not A Name"}, "a-z"),
        ("/users", {"username": "fine", "followers": "many"}, "followers"),
        ("/users", {"username": "fine", "shoe_size": 43}, "shoe_size"),
        ("/users", {"username": "fine", "pk": 1000001}, "jenny.rosen"),
        ("/media", {"owner": "nobody.here", "pk": 1}, "nobody.here"),
        ("/media", {"owner": "shop"}, "pk is missing"),
        ("/accounts", {"username": "fine"}, "password"),
        ("/faults", {"match": "comment", "effect": "spam"}, "known are"),
        ("/faults", {"match": "comment", "effect": "hang", "often": 3}, "often"),
        ("/proxy", {"fault": "explode"}, "refuse"),
        ("/nowhere", {}, "known are"),
    ],
)
def test_the_control_port_says_what_is_wrong(
    standin: StandIn, path: str, body: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        request_json(standin.control_url, "POST", path, body)


def test_a_run_starts_at_once_and_ends_quietly(tmp_path: Path) -> None:
    async def scenario(standin: StandIn) -> None:
        async with shop_client(standin) as client:
            standin.fault("usernameinfo", "hang")
            client.read_timeout = 0.1
            with pytest.raises(ConnectProxyError):
                await client.user_info_by_username_v1("jenny.rosen")
            with connect(standin, "i.instagram.com:443") as tunnel:
                tunnel.recv(1024)
                tunnel.sendall(b"this is no TLS handshake")
            with connect(standin, "i.instagram.com:443"):
                pass

    begun = time.monotonic()
    with StandIn(tmp_path) as standin:
        assert time.monotonic() - begun < 5
        asyncio.run(scenario(standin))
        half_open = connect(standin, "i.instagram.com:443")
        begun = time.monotonic()
        assert standin.close() == 0
        half_open.close()
    assert standin.child.complaints() == ""
    assert time.monotonic() - begun < 5


def test_a_dm_is_quick(standin: StandIn) -> None:
    async def scenario() -> None:
        async with shop_client(standin) as client:
            jenny = await client.user_info_by_username_v1("jenny.rosen")
            for number in range(20):
                await client.direct_send(f"number {number}", [int(jenny.pk)])

    asyncio.run(scenario())

    sends = standin.log("broadcast_text")
    assert sends[-1]["ended"] is not None
    assert (sends[-1]["ended"] - sends[0]["begun"]) / len(sends) < 0.05


def test_a_stand_in_does_not_outlive_its_parent(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from deploy.local.instagram.client import StandIn\n"
        "standin = StandIn(Path(sys.argv[1]))\n"
        "print(standin.control_url, flush=True)\n"
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
