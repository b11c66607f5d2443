"""`heliograph session`, as called from a shell."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from service.accounts.session_settings import exportable
from service.cli import main
from service.redis.decoding import decode_fields
from tests.support.processes import ROOT
from tests.support.session_store import SECRET, open_session_store
from tests.support.sessions import CANARY, document, leaks, of_device, of_user
from tests.support.web import contents

CONFIG = """
[accounts.shop]
username = "env:SHOP_USERNAME"
password = "env:NEVER_SET"
[accounts.second]
username = "second"
password = "env:NEVER_SET"
"""


@pytest.fixture
def workdir(
    store: redis.Redis, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A working directory, and exactly the environment that the command needs."""
    (tmp_path / "heliograph.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("API_KEYS", raising=False)
    monkeypatch.setenv("HELIOGRAPH_CONFIG", "heliograph.toml")
    monkeypatch.setenv("REDIS_URL", store_url)
    monkeypatch.setenv("SECRET_KEY", SECRET)
    monkeypatch.setenv("SHOP_USERNAME", "shop")
    return tmp_path


def given(settings: object, name: str = "in.json") -> str:
    Path(name).write_text(json.dumps(settings))
    return name


def imported(settings: object, *options: str, name: str = "shop") -> int:
    return main(["session", "import", name, given(settings), *options])


def expected() -> dict[str, Any]:
    return {key: value for key, value in exportable(document()).items() if value is not None}


def test_a_session_is_imported_and_exported_for_its_owner_only(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(document()) == 0
    assert capsys.readouterr().out == "account 'shop': imported as version 1\n"

    old = os.umask(0)
    try:
        assert main(["session", "export", "shop", "out.json"]) == 0
    finally:
        os.umask(old)
    said = capsys.readouterr()
    assert said.out == ""
    assert "is a secret" in said.err
    assert Path("out.json").stat().st_mode & 0o777 == 0o600
    assert json.loads(Path("out.json").read_text()) == expected()
    assert main(["session", "import", "shop", "out.json"]) == 0


def test_an_import_and_a_reset_are_in_the_audit_log(workdir: Path, store: redis.Redis) -> None:
    assert imported(document()) == 0
    assert imported(of_device("another")) == 1
    assert imported(of_device("another"), "--reset-device") == 0

    stored: Any = store.xrange("hg:audit")
    entries = [decode_fields(fields) for _, fields in stored]
    assert [(entry["decision"], entry["by"], entry["account"]) for entry in entries] == [
        ("session_import", "cli", "shop"),
        ("session_reset", "cli", "shop"),
    ]
    assert all("address" not in entry for entry in entries)


def test_a_dash_means_stdin_or_stdout(
    workdir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = json.dumps(document()).encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(raw)))
    assert main(["session", "import", "shop", "-"]) == 0
    capsys.readouterr()
    assert main(["session", "export", "shop", "-"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == expected()
    assert "is a secret" in said.err


def test_private_settings_are_not_exported(workdir: Path, store_url: str) -> None:
    async def save() -> None:
        async with open_session_store(store_url) as (vault, _):
            await vault.save("shop", "shop", document(password="p", proxy="http://x"), version=0)

    asyncio.run(save())
    assert main(["session", "export", "shop", "out.json"]) == 0
    written = json.loads(Path("out.json").read_text())
    assert not {"password", "proxy", "tls_verify", "request_timeout"} & set(written)


def test_an_existing_file_is_replaced_only_with_force(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(document())
    cached = Path("out.json")
    cached.write_text("precious")
    cached.chmod(0o644)
    assert main(["session", "export", "shop", "out.json"]) == 1
    assert "out.json exists" in capsys.readouterr().err
    assert cached.read_text() == "precious"
    assert main(["session", "export", "shop", "out.json", "--force"]) == 0
    assert json.loads(cached.read_text()) == expected()
    assert cached.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in workdir.iterdir()) == [
        "heliograph.toml",
        "in.json",
        "out.json",
    ]


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_the_target_of_a_link_is_not_written(workdir: Path, force: list[str]) -> None:
    imported(document())
    target = Path("target.json")
    target.write_text("precious")
    Path("out.json").symlink_to(target)
    assert main(["session", "export", "shop", "out.json", *force]) == (0 if force else 1)
    assert target.read_text() == "precious"


@pytest.mark.parametrize("file", ["/nowhere/out.json", ".", "/dev/null"])
def test_a_file_that_cannot_be_written_is_named(
    workdir: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(document())
    assert main(["session", "export", "shop", file, "--force"]) == 2
    assert f"heliograph session: {file}: " in capsys.readouterr().err
    assert Path("/dev/null").is_char_device()


def test_another_device_is_rejected_without_reset_device(
    workdir: Path, store: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(document())
    before = contents(store)
    assert imported(of_device("new")) == 1
    said = capsys.readouterr().err
    assert "uuids.phone_id" in said
    assert said.endswith("add --reset-device\n")
    assert contents(store) == before
    assert imported(of_device("new"), "--reset-device") == 0
    assert "version 2; the account now has another device" in capsys.readouterr().out


def test_another_users_session_is_rejected(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(document())
    assert imported(of_user("77")) == 1
    assert "another Instagram user than" in capsys.readouterr().err


def test_a_session_under_another_key_is_rejected_with_the_remedy(
    workdir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    imported(document())
    monkeypatch.setenv("SECRET_KEY", "another secret key of forty characters..")
    assert imported(document()) == 1
    assert capsys.readouterr().err.endswith("add --reset-device\n")
    for action in (["show", "shop"], ["export", "shop", "out.json"]):
        assert main(["session", *action]) == 1
        assert "--reset-device" not in capsys.readouterr().err
    assert not Path("out.json").exists()
    assert imported(document(), "--reset-device") == 0


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b"{", "the document: must be a JSON object"),
        (b"[]", "the document: must be a JSON object"),
        (json.dumps(document(uuids=[CANARY])).encode(), "uuids: must be"),
        (json.dumps(document(cookies={}, authorization_data={})).encode(), "authorization_data: "),
        (b" " * (1024 * 1024) + b"{}", "the document: must be at most 1048576 bytes"),
    ],
)
def test_an_invalid_session_is_rejected_by_field(
    workdir: Path,
    store: redis.Redis,
    raw: bytes,
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("in.json").write_bytes(raw)
    assert main(["session", "import", "shop", "in.json"]) == 1
    assert capsys.readouterr().err.startswith(f"heliograph session: {named}")
    assert contents(store) == {}


@pytest.mark.parametrize("variable", ["REDIS_URL", "SECRET_KEY", "SHOP_USERNAME"])
def test_a_missing_variable_is_one_line_that_names_it(
    workdir: Path,
    variable: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(variable)
    assert imported(document()) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert variable in said.err


def test_another_account_s_variable_is_not_needed(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_USERNAME")
    assert imported(document(), name="second") == 0


@pytest.mark.parametrize("action", [["show"], ["import", "in.json"], ["export", "out.json"]])
def test_an_unknown_account_is_wrong_usage(
    workdir: Path, action: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    given(document())
    assert main(["session", action[0], "shpo", *action[1:]]) == 2
    assert "(configured: shop, second)" in capsys.readouterr().err
    assert not Path("out.json").exists()


def test_a_missing_file_is_wrong_usage(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["session", "import", "shop", "nowhere.json"]) == 2
    assert "nowhere.json: No such file" in capsys.readouterr().err


@pytest.mark.parametrize("call", [[], ["import", "shop"], ["show"], ["destroy", "shop"]])
def test_missing_arguments_are_wrong_usage(
    workdir: Path, call: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["session", *call])
    assert ended.value.code == 2
    assert "usage: heliograph session" in capsys.readouterr().err


def test_an_invalid_configuration_is_one_line(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("heliograph.toml").write_text("[accounts.shop]\nusername = 'shop'\n")
    assert main(["session", "show", "shop"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("heliograph session: HELIOGRAPH_CONFIG: ")
    assert "password" in said


@pytest.mark.parametrize("action", [["show", "shop"], ["export", "shop", "out.json"]])
def test_without_a_session_there_is_nothing_to_show(
    workdir: Path, action: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["session", *action]) == 1
    assert "no session is stored yet" in capsys.readouterr().err
    assert not Path("out.json").exists()


def test_an_unavailable_redis_is_reported(
    workdir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:the-password@127.0.0.1:1/0")
    assert imported(document()) == 1
    said = capsys.readouterr().err
    assert said.startswith("heliograph session: Redis cannot be reached: Error 111 ")
    assert "the-password" not in said


def test_a_session_is_shown_without_its_secrets(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(document())
    capsys.readouterr()
    assert main(["session", "show", "shop"]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[:3])
    assert shown == {"account:": "shop", "username:": "shop", "version:": "1"}


def test_the_shown_device_changes_with_the_device_only(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    devices = []
    for settings in (document(), document(mid="m", last_login=None), of_device("new")):
        imported(settings, "--reset-device")
        capsys.readouterr()
        main(["session", "show", "shop"])
        devices.append(capsys.readouterr().out.splitlines()[-1])
    assert devices[0] == devices[1] != devices[2]


@pytest.mark.parametrize(
    ("last_login", "shown"),
    [(1795000000.5, "2026-11-18T11:06:40Z"), (None, "unknown"), (1e300, "unknown")],
)
def test_the_last_login_is_shown_as_a_time(
    workdir: Path, last_login: float | None, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(document(last_login=last_login))
    capsys.readouterr()
    main(["session", "show", "shop"])
    assert f"last login: {shown}\n" in capsys.readouterr().out


def test_a_device_without_a_login_is_shown_and_exported(
    workdir: Path, store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def save() -> None:
        async with open_session_store(store_url) as (vault, _):
            device = document(authorization_data={}, cookies={})
            await vault.save("shop", "shop", device, version=0)

    asyncio.run(save())
    assert main(["session", "show", "shop"]) == 0
    assert "logged in:  no\n" in capsys.readouterr().out
    assert main(["session", "export", "shop", "out.json"]) == 0
    assert "a device but no login" in capsys.readouterr().err


def test_no_output_contains_the_session(
    workdir: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for settings in (
        document(),
        of_device("new"),
        of_user("77"),
        document(uuids=CANARY),
        document(cookies={CANARY: {}}),
        document(username=CANARY),
        document(more=[CANARY, float("nan")]),
    ):
        imported(settings)
    imported(of_device("new"), "--reset-device")
    Path("in.json").write_text(f'{{"{CANARY}": ')
    main(["session", "import", "shop", "in.json"])
    main(["session", "show", "shop"])
    main(["session", "export", "shop", "out.json"])
    main(["session", "export", "shop", "out.json"])
    assert leaks(json.dumps(expected()))
    assert CANARY in Path("out.json").read_text()
    said = "".join(capfd.readouterr())
    assert said.count("heliograph session:") == 9
    assert leaks(said, caplog.text) == []


def test_the_command_works_from_a_shell(workdir: Path) -> None:
    def shell(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "service", "session", *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    done = shell("import", "shop", "-", stdin=json.dumps(document()))
    assert (done.returncode, done.stderr) == (0, "")
    exported = shell("export", "shop", "-")
    assert json.loads(exported.stdout) == expected()
    again = shell("import", "shop", "/dev/stdin", stdin=exported.stdout)
    assert (again.returncode, again.stdout) == (0, "account 'shop': imported as version 2\n")
