"""A photo to be sent, and the reasons for rejecting one. Pure data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MAX_PHOTO_BYTES: Final = 8 * 1024 * 1024
#: Decoding takes 4 bytes per pixel, twice that with transparency.
MAX_PIXELS: Final = 25_000_000

#: Why a photo is rejected, by code: what follows "The photo".
PROBLEMS: Final[Mapping[str, str]] = {
    "photo_too_large": f"must be at most {MAX_PHOTO_BYTES} bytes (8 MiB)",
    "photo_not_an_image": "must be a JPEG, PNG or WebP image: its content is something else,"
    " whatever its file name",
    "photo_broken": "could not be decoded: it is damaged, incomplete or far too large",
    "photo_too_many_pixels": f"must have at most {MAX_PIXELS} pixels (25 megapixels)",
    "photo_animated": "must be a still image, not an animation",
    "photo_too_demanding": "needs too much memory or time to decode",
}


class PhotoRefused(ValueError):
    """A photo that cannot be sent.

    Parameters:
      code: A key of PROBLEMS.
    """

    def __init__(self, code: str) -> None:
        super().__init__(PROBLEMS[code])
        self.code = code
        self.message = PROBLEMS[code]


@dataclass(frozen=True)
class Photo:
    """A photo that is ready to be sent.

    Parameters:
      jpeg: The bytes that are sent.
      width: The JPEG's width, in pixels.
      height: The JPEG's height, in pixels.
      sha256: Hash of the original file, in hex; identifies the photo as a text identifies a DM.
    """

    jpeg: bytes = field(repr=False)
    width: int
    height: int
    sha256: str

    def metadata(self, source: str) -> str:
        """The metadata that the API returns, as JSON.

        Parameters:
          source: `upload` or `url`.
        """
        return _metadata(source, len(self.jpeg), self.width, self.height, self.sha256)

    def entry(self) -> dict[str, Any]:
        """The photo's fields of an encoded draft, as the Lua library's `create_job` reads them."""
        return {"photo": self.metadata("upload"), "says": self.sha256}


@dataclass(frozen=True)
class PhotoUrl:
    """A photo that a worker will download.

    Parameters:
      url: The URL; often secret (signed links), so not in the repr.
    """

    url: str = field(repr=False)

    def entry(self) -> dict[str, Any]:
        """The photo's fields of an encoded draft; the URL is stored and erased like a text."""
        return {
            "photo": _metadata("url", None, None, None, None),
            "says": self.url,
            "text": self.url,
        }


def _metadata(
    source: str, size: int | None, width: int | None, height: int | None, sha256: str | None
) -> str:
    fields = {"from": source, "bytes": size, "width": width, "height": height, "sha256": sha256}
    return json.dumps(fields, separators=(",", ":"))
