"""What can be looked up, in the one form under which everybody's copies and look-ups meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from service.instagram.ids import media_pk, normalise_post, normalise_recipient

TargetKind = Literal["user", "post"]


@dataclass(frozen=True)
class LookupTarget:
    """A profile or a post.

    Parameters:
      sort: Which of them.
      name: A username, or a post's pk in digits.
    """

    kind: TargetKind
    name: str

    def __str__(self) -> str:
        """The name of its keys in the store."""
        return f"{self.kind}:{self.name}"

    @property
    def recipient(self) -> str:
        """A profile as jobs name it, where digits without `@` are a user's number."""
        return f"@{self.name}" if self.name.isdigit() else self.name


def user_target(given: str) -> LookupTarget:
    """Find the profile that somebody asks for.

    Parameters:
      given: A username with or without `@`, or a profile link; digits are a username of digits.

    Raises:
      NotAHandle: There is none; the message says why.
    """
    text = given.strip()
    name = normalise_recipient(f"@{text}" if text.isascii() and text.isdigit() else text)
    if name.isdigit():
        # `pk:314159` names nobody here: profiles are asked for by name.
        name = normalise_recipient(f"@{given}")
    return LookupTarget("user", name.removeprefix("@"))


def post_target(given: str) -> LookupTarget:
    """Find the post that somebody asks for.

    Parameters:
      given: A shortcode, a link, a media pk or a media id.

    Raises:
      NotAHandle: It names no post; the message says why.
    """
    return LookupTarget("post", media_pk(normalise_post(given)))
