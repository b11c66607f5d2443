"""Estimates how hard a key or secret is to guess. Pure.

Length alone says little: `aaaa...`, `abcabc...`, `0123456789...` and `changeme-changeme` are among
the first that anybody tries. The estimate counts what a guesser who knows such patterns cannot
predict, as zxcvbn does (https://github.com/dropbox/zxcvbn): a pattern costs a few bits however long
it is.
"""

from __future__ import annotations

import math
from typing import Final

from service.credentials.placeholders import LONGEST_WORD, WORDS, is_placeholder

#: What a guesser needs to find where a repetition or sequence begins and ends, or which word it is.
PATTERN_BITS: Final = 4.0
#: Random keys of 16 digits, the weakest that are long enough, have more.
MIN_KEY_BITS: Final = 28.0
#: What is encrypted can be tried against guesses without asking this service.
MIN_ENCRYPTION_BITS: Final = 48.0
#: A sender's secret may have been typed by a person, and be short.
MIN_SENDER_BITS: Final = 11.0
MIN_SENDER_LENGTH: Final = 8

_MIN_REPEAT: Final = 3
_MIN_SEQUENCE: Final = 4
#: From how many characters on they are a sequence, by the step from one to the next.
_MIN_STEPS: Final = {1: _MIN_SEQUENCE, 2: _MIN_SEQUENCE + 1}
_KEYBOARD_ROWS: Final = ("qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "zxcvbnm")
_SEPARATORS: Final = " -_.,:/"
#: `a1b2c3d4` has its patterns in every second character.
_STRIDES: Final = (1, 2, 3)
#: Nobody needs a longer key, and what follows can only add to the estimate.
_MAX_CHARACTERS: Final = 256
#: What providers put before the random part.
_PREFIXES: Final = ("v1,", "whsec_", "pdl_ntfset_", "shpss_")


def has_entropy(key: str, bits: float = MIN_KEY_BITS) -> bool:
    """Whether a key that was made for this service is hard to guess.

    Parameters:
      key: Of any length.
      bits: How many a guesser must not be able to predict.
    """
    text = key[:_MAX_CHARACTERS].lower()
    each = _bits_per_character(text)
    slices = ([text[start::stride] for start in range(stride)] for stride in _STRIDES)
    estimates = (sum(_bits(part, each) for part in parts) for parts in slices)
    return not is_placeholder(text) and min(estimates) >= bits


def check_sender_secret(secret: str) -> None:
    """Check a secret that a webhook sender shares, which a person may have chosen.

    Parameters:
      secret: As configured.

    Raises:
      ValueError: It is short, repetitive or a placeholder; the message does not repeat it.
    """
    text = _without_prefix(secret)[:_MAX_CHARACTERS].lower()
    advice = "make one (`openssl rand -hex 32`), or copy the provider's"
    if len(text) < MIN_SENDER_LENGTH:
        raise ValueError(
            f"the secret has fewer than {MIN_SENDER_LENGTH} characters (after any prefix): {advice}"
        )
    if (
        is_placeholder(text)
        or _sender_bits(text) < MIN_SENDER_BITS
        or _repeats_few_characters(text)
    ):
        raise ValueError(f"the secret is easy to guess (a placeholder, or repetitive): {advice}")


def _sender_bits(text: str) -> float:
    each = _bits_per_character(text)
    in_halves = sum(_bits(half, each, words=False) for half in (text[0::2], text[1::2]))
    return min(_bits(text, each, words=False), in_halves)


def _repeats_few_characters(text: str) -> bool:
    """Whether it is fewer characters than a secret must have, several times: `shopshop`."""
    return (text + text).find(text, 1) < MIN_SENDER_LENGTH


def _without_prefix(secret: str) -> str:
    for prefix in _PREFIXES:
        secret = secret.removeprefix(prefix)
    return secret


def _bits_per_character(text: str) -> float:
    # Of a few characters only, the next is one of them.
    return math.log2(max(2, len(set(text))))


def _bits(text: str, per_character: float, *, words: bool = True) -> float:
    """Return the bits that a guesser cannot predict.

    Parameters:
      text: In lower case.
      per_character: What a character costs that nothing predicts.
      words: Whether words that are usual in placeholders are predictable, and what is between them.
    """
    bits, position = 0.0, 0
    while position < len(text):
        predictable = max(
            _run_at(text, position),
            _repeat_at(text, position),
            _sequence_at(text, position),
            _word_at(text, position) if words else 0,
        )
        is_separator = words and text[position] in _SEPARATORS
        bits += PATTERN_BITS if predictable else 1.0 if is_separator else per_character
        position += predictable or 1
    return bits


def _repeat_at(text: str, position: int) -> int:
    """Return how many characters repeat what began earlier, overlapping or not; 0 for too few."""
    length = _MIN_REPEAT
    while position + length <= len(text) and (
        text.find(text[position : position + length], 0, position + length - 1) >= 0
    ):
        length += 1
    return length - 1 if length > _MIN_REPEAT else 0


def _run_at(text: str, position: int) -> int:
    """Return how many times the same character stands there; 0 for too few."""
    rest = text[position:]
    length = len(rest) - len(rest.lstrip(text[position]))
    return length if length >= _MIN_SEQUENCE else 0


def _sequence_at(text: str, position: int) -> int:
    """Return how many characters go up or down, or along a keyboard row; 0 for too few."""
    return max(_steps_at(text, position), *(_row_at(text, position, row) for row in _ROWS))


def _steps_at(text: str, position: int) -> int:
    if position + 1 >= len(text):
        return 0
    step, end = ord(text[position + 1]) - ord(text[position]), position + 1
    while end < len(text) and ord(text[end]) - ord(text[end - 1]) == step:
        end += 1
    length = end - position
    return length if length >= _MIN_STEPS.get(abs(step), length + 1) else 0


def _row_at(text: str, position: int, row: str) -> int:
    start = row.find(text[position])
    if start < 0:
        return 0
    length = 0
    while text[position + length : position + length + 1] == row[start + length :][:1] != "":
        length += 1
    return length if length >= _MIN_SEQUENCE else 0


def _word_at(text: str, position: int) -> int:
    for length in range(LONGEST_WORD, 1, -1):
        if text[position : position + length] in WORDS:
            return length
    return 0


_ROWS: Final = (*_KEYBOARD_ROWS, *(row[::-1] for row in _KEYBOARD_ROWS))
