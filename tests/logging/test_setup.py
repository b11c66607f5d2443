"""Log lines: one JSON object each, with the ids that are bound, and never with a secret."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SECRET = "whsec_planted/in+a=test\"with'quotes"
SHORT_SECRET = "pw-123"

#: Starts every test's process: logging in this process belongs to pytest.
HEAD = """
import logging, sys
from service.logging.context import bind_ids
from service.logging.setup import configure_logging, get_logger
SECRET, SHORT = sys.argv[1:3]
configure_logging({log_format!r}, [SECRET, SHORT, "abc"])
log = get_logger("a.place")
"""


def run(code: str, log_format: str = "json", **environ: str) -> list[str]:
    """Run code in a process of its own and return its lines on stdout."""
    head = HEAD.format(log_format=log_format)
    done = subprocess.run(
        [sys.executable, "-c", head + code, SECRET, SHORT_SECRET],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    return done.stdout.decode().splitlines()


def lines(code: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(code)]


def test_a_line_is_json_with_message_level_time_and_place() -> None:
    (line,) = lines("log.info('hello', answer=42)")
    assert (line["message"], line["level"], line["logger"]) == ("hello", "info", "a.place")
    assert line["answer"] == 42
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() is not None


def test_bound_ids_are_on_every_line_that_follows() -> None:
    first, second, library = lines("""
log.info('before')
bind_ids(job_id='job_1')
log.info('after')
logging.getLogger('a.library').warning('too')
""")
    assert "job_id" not in first
    assert (second["job_id"], library["job_id"]) == ("job_1", "job_1")


def test_a_librarys_line_has_the_same_form() -> None:
    (line,) = lines("logging.getLogger('uvicorn.error').warning('%s of %d', 'one', 2)")
    assert (line["message"], line["level"]) == ("one of 2", "warning")


def test_what_is_below_info_is_not_written() -> None:
    assert lines("log.debug('x'); logging.getLogger('httpx').info('GET https://...')") == []


PLANTED = {
    "the message": "log.info(f'hello {SECRET}')",
    "a field": "log.info('hello', key=SECRET)",
    "a nested field": "log.info('hello', key={'a': [{'b': (SECRET, {SECRET})}]})",
    "a nested key": "log.info('hello', key={SECRET: 1})",
    "an object": "log.info('hello', key=ValueError(SECRET))",
    "bytes": "log.info('hello', key=SECRET.encode())",
    "a document within an object": "import json; log.info('got', key={'a': [json.dumps(SECRET)]})",
    "an object within a message": "log.info(f'failed: {ValueError([SECRET])!r}')",
    "a document": "import json; log.info('got ' + json.dumps({'a': SECRET}))",
    "a link": "from urllib.parse import quote; log.info('GET /?a=' + quote(SECRET, safe=''))",
    "bound ids": "bind_ids(a=SECRET); log.info('hello')",
    "a library's arguments": "logging.getLogger('x').warning('said %s and %r', SECRET, SHORT)",
    "an exception": """
try: raise RuntimeError('cannot log in with ' + SHORT)
except RuntimeError: log.exception('failed')
""",
    "an exception's cause": """
try:
    try: raise OSError(SHORT)
    except OSError as cause: raise RuntimeError('outer') from cause
except RuntimeError: logging.getLogger('x').exception('failed')
""",
    "an exception that is handed over": "log.error('failed', exc_info=RuntimeError(SECRET))",
}


@pytest.mark.parametrize("code", PLANTED.values(), ids=PLANTED.keys())
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_secret_is_redacted_wherever_it_stands(code: str, log_format: str) -> None:
    written = "\n".join(run(code, log_format))
    assert "[secret]" in written
    assert SHORT_SECRET not in written
    assert "planted/in+a" not in written


def test_a_short_value_does_not_redact_words() -> None:
    (line,) = lines("log.info('abcdef')")
    assert line["message"] == "abcdef"


def test_an_exception_is_one_line() -> None:
    (line,) = lines("""
try: 1 / 0
except ZeroDivisionError: log.exception('failed')
""")
    assert "ZeroDivisionError" in line["exception"]


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_no_character_costs_a_line(locale: str) -> None:
    odd = run(
        "log.info('\\U0001f600 \\ud800 \\u2028 \\xe9', to='\\u2603')",
        LC_ALL=locale,
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
    )
    assert len(odd) == 1


#: Bidirectional controls, line and paragraph separators, zero width, a tag, C1 controls with NEL,
#: DEL, an escape sequence, line breaks, a byte order mark and half a surrogate pair.
INVISIBLE = (
    "\u202e\u2066\u2028\u2029\u200b\u200d\u2060\U000e0041\x85\x9b\x7f\x1b[2J\r\n\ufeff\ud800"
)
#: Where they come from; `ODD` is a text that has them.
HIDDEN = {
    "the message": "log.info(f'hello {ODD}')",
    "a field": "log.info('hello', key=ODD)",
    "a nested field": "log.info('hello', key={'a': [ODD, (ODD,)]})",
    "a key": "log.info('hello', **{ODD: 1})",
    "an object": "log.info('hello', key=ValueError(ODD))",
    "bound ids": "bind_ids(source=ODD); log.info('hello')",
    "a logger's name": "get_logger(ODD).info('hello')",
    "a library": "logging.getLogger('x').warning('said %s', ODD)",
    "an exception": """
try: raise RuntimeError(ODD)
except RuntimeError: log.exception('failed')
""",
    "the name of an exception": """
odd_class = type(f'E{ODD[:-1]}', (Exception,), {})
log.error('failed', exc_info=odd_class())
""",
    "a warning's extras": "logging.getLogger('x').warning('said', extra={'key': ODD})",
}


@pytest.mark.parametrize("code", HIDDEN.values(), ids=HIDDEN.keys())
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_what_cannot_be_seen_is_escaped_wherever_it_stands(code: str, log_format: str) -> None:
    written = "\n".join(run(f"ODD = {INVISIBLE!a}\n{code}", log_format))
    assert written.replace("\n", "").isprintable()
    assert not set(INVISIBLE) - set("[2J") & set(written.replace("\n", ""))


@pytest.mark.parametrize("name", [name for name in HIDDEN if "exception" not in name])
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_value_makes_a_line_of_its_own(name: str, log_format: str) -> None:
    written = run(f"ODD = 'x\\n2026-11-30 [info] forged\\u2028y'\n{HIDDEN[name]}", log_format)
    assert len(written) == 1


def test_no_exception_makes_what_looks_like_another_line() -> None:
    first, *more = run(f"ODD = 'x\\n2026-11-30 [info] forged'\n{HIDDEN['an exception']}", "console")
    assert "failed" in first
    assert len(more) > 2
    assert all(line.startswith("    ") for line in more)


def test_escapes_in_json_mean_what_was_logged() -> None:
    odd = INVISIBLE[:-1] + "é ☃ \U0001f600"
    (line,) = lines(f"log.info('hello', key={odd!a})")
    assert line["key"] == odd


def test_a_secret_with_invisible_characters_is_redacted() -> None:
    code = "configure_logging({!r}, ['pass\\u200bword-1']); log.info('is pass\\u200bword-1')"
    for log_format in ("json", "console"):
        assert "word-1" not in run(code.format(log_format), log_format)[0]


def test_a_message_that_a_library_repeats_is_written_seldom() -> None:
    written = lines("""
for _ in range(50):
    logging.getLogger('redis.client').warning('cannot connect')
    log.warning('ours')
""")
    messages = [line["message"] for line in written]
    assert (messages.count("cannot connect"), messages.count("ours")) == (1, 50)


def test_logging_goes_to_the_real_stdout() -> None:
    (line,) = lines("import io; sys.stdout = io.StringIO(); log.info('hello')")
    assert line["message"] == "hello"


def test_configuring_twice_writes_once() -> None:
    assert len(lines("configure_logging('json', [SECRET]); log.info('hello')")) == 1
