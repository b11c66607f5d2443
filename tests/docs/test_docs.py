"""The documents name only what exists, and in the project's own terms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Final

import pytest

from actors.instagram import error_policies, login_policies
from actors.instagram.error_policies import ErrorPolicy
from actors.instagram.session_doubts import CHALLENGE_CONFIRMED, NOT_FOUND_UNCLEAR
from service.config.config import load_config
from service.config.settings import SettingsError, load_settings

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")))

_FENCE: Final = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)", re.MULTILINE)
_CODE: Final = re.compile(r"`([^`\n]+)`")
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
#: A path of ours: from the root, or a file of the ledger's scripts by its name alone.
_PATH: Final = re.compile(r"(?:service|actors|deploy|tests|docs)/[\w./-]+|(?:lib/)?\w+\.lua")
_TARGET: Final = re.compile(r"\bmake ([a-z]+)\b")
#: Words of the old dialect. A page may quote them as stored or renamed names, in backticks.
_OLD_WORDS: Final = re.compile(
    r"\b(walks?|lanes?|stand-ins?|doorbell|look-ups?|looked up later|sweep|pulse|in doubt"
    r"|born failed|rung|alarms?)\b",
    re.IGNORECASE,
)


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def _prose(text: str) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", text)


def _links(page: Path) -> Iterator[str]:
    for inline, reference in _LINK.findall(_prose(page.read_text())):
        target = inline or reference
        if "://" not in target:
            yield target


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_resolve(page: Path) -> None:
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{link} leads nowhere"
        if anchor:
            headings = _HEADING.findall(_prose(target.read_text()))
            assert anchor in map(_anchor, headings), f"{link}: no such heading"


def _exists(path: str) -> bool:
    if (ROOT / path).exists():
        return True
    scripts = ROOT / "service/jobs/lua"
    return path.endswith(".lua") and any((scripts / at / path).is_file() for at in ("", "lib"))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_paths_exist(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return  # it names files that are gone
    spans = _CODE.findall(_prose(page.read_text()))
    named = [span for span in spans if _PATH.fullmatch(span) and "NAME" not in span]
    assert [path for path in named if not _exists(path)] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    spans = " ; ".join(_CODE.findall(_prose(page.read_text())))
    shown = "\n".join(_FENCE.findall(page.read_text()))
    assert {*_TARGET.findall(spans), *re.findall(r"^make ([a-z]+)", shown, re.MULTILINE)} <= targets


def test_every_target_says_what_it_does() -> None:
    lines = re.findall(r"^[a-z]+:.*$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [line for line in lines if "## " not in line] == []


def test_the_configuration_of_the_readme_is_valid(tmp_path: Path) -> None:
    example = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(example) == 1
    (tmp_path / "heliograph.toml").write_text(example[0])
    assert load_config(tmp_path / "heliograph.toml").rules


def _variables() -> list[str]:
    rows = re.findall(
        r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    return [name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)]


def test_the_readme_lists_the_variables() -> None:
    assert {"REDIS_URL", "SECRET_KEY", "API_KEYS", "DRY_RUN", "METRICS_SECONDS"} <= {*_variables()}


@pytest.mark.parametrize("name", _variables())
def test_every_variable_of_the_readme_is_a_setting(name: str) -> None:
    usable = {
        "REDIS_URL": "redis://localhost",
        "SECRET_KEY": token_hex(32),
        "API_KEYS": f"crm:{token_hex(16)}",
        "HELIOGRAPH_CONFIG": str(ROOT / "deploy/local/heliograph.toml"),
    }
    assert load_settings(usable)
    with pytest.raises(SettingsError, match=name):
        load_settings({**usable, name: "unusable"})


def test_every_key_of_the_ledger_is_in_the_architecture() -> None:
    header = (ROOT / "service/jobs/lua/lib/records.lua").read_text().partition("local ")[0]
    keys = set(re.findall(r"\bhg:[a-z]+", header))
    assert keys >= {"hg:job", "hg:wakes", "hg:acct"}
    assert (
        keys - set(re.findall(r"\bhg:[a-z]+", (ROOT / "docs/architecture.md").read_text())) == set()
    )


def test_every_error_of_instagram_is_explained() -> None:
    pages = "".join((ROOT / "docs" / name).read_text() for name in ("jobs.md", "safety.md"))
    inner = {"interrupted"}  # it neither ends nor delays a job
    of_logins = [each for each in vars(login_policies).values() if isinstance(each, ErrorPolicy)]
    in_doubt = (CHALLENGE_CONFIRMED, NOT_FOUND_UNCLEAR)
    policies = (*error_policies.ALL, *of_logins, *in_doubt)
    codes = {policy.code for policy in policies} - inner
    assert {code for code in codes if f"`{code}`" not in pages} == set()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_no_word_of_the_old_dialect_is_left(page: Path) -> None:
    text = _CODE.sub("", page.read_text() if page.name != "CHANGELOG.md" else "")
    assert _OLD_WORDS.findall(text) == []
