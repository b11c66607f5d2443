"""What a photo is on its way to Instagram, and each way it is refused. Pure data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MAX_PHOTO_BYTES: Final = 8 * 1024 * 1024
#: Decoding takes 4 bytes a pixel, twice where there is transparency.
MAX_PIXELS: Final = 25_000_000

#: Why a photo is not taken, by code: what follows "The photo".
REFUSALS: Final[Mapping[str, str]] = {
    "photo_too_large": f"must be at most {MAX_PHOTO_BYTES} bytes (8 MiB)",
    "photo_not_an_image": "must be a JPEG, PNG or WebP image: its content is something else,"
    " whatever its name says",
    "photo_broken": "could not be decoded: it is damaged, breaks off or is far too large",
    "photo_too_many_pixels": f"must have at most {MAX_PIXELS} pixels (25 megapixels)",
    "photo_animated": "must be a still image, not an animation",
    "photo_too_demanding": "takes more memory or time to decode than a photo may",
}


class PhotoRefused(ValueError):
    """A photo that is not sent to anybody.

    Parameters:
      code: A key of REFUSALS.
    """

    def __init__(self, code: str) -> None:
        super().__init__(REFUSALS[code])
        self.code = code
        self.message = REFUSALS[code]


@dataclass(frozen=True)
class Photo:
    """A photo that is ready to be sent.

    Parameters:
      jpeg: The bytes that are sent.
      width: Of these, in pixels.
      height: Of these, in pixels.
      sha256: Of the file as it came, in hex; it names the photo where a DM has its text.
    """

    jpeg: bytes = field(repr=False)
    width: int
    height: int
    sha256: str

    def facts(self, source: str) -> str:
        """What is told of it, as JSON.

        Parameters:
          source: `upload` or `url`.
        """
        return _facts(source, len(self.jpeg), self.width, self.height, self.sha256)

    def entry(self) -> dict[str, Any]:
        """Its part of a job's entry, as `create_job` reads it."""
        return {"photo": self.facts("upload"), "says": self.sha256}


@dataclass(frozen=True)
class PhotoUrl:
    """A photo that a worker is to fetch.

    Parameters:
      url: Where from; often a secret of its own (signed links), so not in the repr.
    """

    url: str = field(repr=False)

    def entry(self) -> dict[str, Any]:
        """Its part of a job's entry: the URL is kept, and dropped, as a text is."""
        return {"photo": _facts("url", None, None, None, None), "says": self.url, "text": self.url}


def _facts(
    source: str, size: int | None, width: int | None, height: int | None, sha256: str | None
) -> str:
    facts = {"from": source, "bytes": size, "width": width, "height": height, "sha256": sha256}
    return json.dumps(facts, separators=(",", ":"))
