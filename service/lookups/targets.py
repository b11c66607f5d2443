"""What can be looked up, in the normal form that caches and lookups are keyed by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from service.instagram.ids import media_pk, normalise_post, normalise_recipient

TargetKind = Literal["user", "post"]


@dataclass(frozen=True)
class LookupTarget:
    """A profile or a post.

    Parameters:
      kind: Which of the two.
      name: A username, or a post's pk in digits.
    """

    kind: TargetKind
    name: str

    def __str__(self) -> str:
        """The name in its Redis keys: `kind:name`."""
        return f"{self.kind}:{self.name}"

    @property
    def recipient(self) -> str:
        """A profile as jobs write it; there, digits without `@` are a user id."""
        return f"@{self.name}" if self.name.isdigit() else self.name


def user_target(given: str) -> LookupTarget:
    """The profile a caller names.

    Parameters:
      given: A username with or without `@`, or a profile link; digits are a username of digits.

    Raises:
      InvalidIdentifier: It names no profile; the message says why.
    """
    text = given.strip()
    name = normalise_recipient(f"@{text}" if text.isascii() and text.isdigit() else text)
    if name.isdigit():
        # `pk:314159` is no username: profiles are looked up by name.
        name = normalise_recipient(f"@{given}")
    return LookupTarget("user", name.removeprefix("@"))


def post_target(given: str) -> LookupTarget:
    """The post a caller names.

    Parameters:
      given: A shortcode, a link, a media pk or a media id.

    Raises:
      InvalidIdentifier: It names no post; the message says why.
    """
    return LookupTarget("post", media_pk(normalise_post(given)))
