"""Known secrets are replaced in everything that is logged.

This is the second line of defence. The first is that secrets live in values whose repr hides them;
this one also catches what a library puts into a message or a traceback.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import quote

from structlog.types import EventDict, WrappedLogger

from service.unicode_text.invisible import escape_invisible

REDACTED: Final = "[secret]"
#: Shorter values ("shop", "1234") would redact ordinary words.
MIN_SECRET_LENGTH: Final = 6

_UNESCAPED: Final = json.JSONEncoder(ensure_ascii=False)


class SecretRedactor:
    """Replaces secrets in texts and in structlog's event dicts.

    Parameters:
      secrets: The values; those shorter than MIN_SECRET_LENGTH are left out.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for s in secrets if len(s) >= MIN_SECRET_LENGTH for form in _forms(s)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None
        # The renderer quotes a form once more.
        quoted = {text for form in forms for text in (repr(form), _UNESCAPED.encode(form))}
        self._line_forms = sorted(forms | {text[1:-1] for text in quoted})

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """A structlog processor: redact values, and what they contain, at any depth."""
        return {key: self._redact(value) for key, value in event.items()}

    def text(self, text: str) -> str:
        """A text with every known secret replaced."""
        return self._pattern.sub(REDACTED, text) if self._pattern else text

    def is_clean(self, line: str) -> bool:
        """Whether a rendered line contains no secret in any form."""
        # One pattern of all of them, or `any`, takes 4.2 us where this takes 2.5.
        for form in self._line_forms:  # noqa: SIM110
            if form in line:
                return False
        return True

    def _redact(self, value: Any) -> Any:
        if value is None or isinstance(value, int | float):
            return value
        if isinstance(value, dict):
            return {self._redact_text(key): self._redact(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._redact(item) for item in value]
        return self._redact_text(value)

    def _redact_text(self, value: Any) -> str:
        # The renderer would write any other object by its repr, unredacted.
        return self.text(value if isinstance(value, str) else repr(value))


class RedactingRenderer:
    """The last processor: renders a line, and renders it again without secrets if it has any.

    Hardly any line has one, and searching a rendered line takes less time than searching each of
    its values: 2.5 us against 20 (12 secrets, 3 ids and 6 fields).

    Parameters:
      redactor: Knows the secrets.
      render: A structlog renderer; it may empty the event dict that it is given.
    """

    def __init__(
        self, redactor: SecretRedactor, render: Callable[[WrappedLogger, str, EventDict], str]
    ) -> None:
        self._redactor = redactor
        self._render = render

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> str:
        """Render the line."""
        line = self._render(logger, method, dict(event))
        if self._redactor.is_clean(line):
            return line
        return self._render(logger, method, self._redactor(logger, method, event))


def _forms(secret: str) -> set[str]:
    """A secret as it stands in text, in a repr, in JSON, in a URL and in a line."""
    escaped = escape_invisible(secret)
    forms = {secret, escaped, repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    return forms | {quote(secret, safe="", errors="surrogatepass")}
