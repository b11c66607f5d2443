"""Converts one image to a clean JPEG, in a process with resource limits.

Run by its path (service/process/limited_subprocess.py), so that no module or secret of Heliograph
is loaded here. The image is read from standard input. Standard output gets one
line of JSON, `{"width", "height"}` or `{"error": code}` with a code of `photo.PROBLEMS`, then the
JPEG.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from PIL import Image

#: What Instagram accepts in DMs. Each further decoder is one more that untrusted bytes can reach.
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
#: Modes that can be scaled directly; others (palettes, 16 bits) are converted first.
_SCALABLE_MODES: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})
_QUALITIES: Final = (88, 75, 60, 40)


class UnusablePhoto(Exception):
    """The image is rejected; the argument is the code."""


def main() -> int:
    """Convert standard input; the first argument has the limits of the image."""
    limits: dict[str, int] = json.loads(sys.argv[1])
    reply: dict[str, Any]
    try:
        jpeg, (width, height) = convert(sys.stdin.buffer, limits)
        reply = {"width": width, "height": height}
    except UnusablePhoto as error:
        jpeg, reply = b"", {"error": error.args[0]}
    except MemoryError:
        jpeg, reply = b"", {"error": "photo_too_demanding"}
    sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n" + jpeg)
    return 0


def convert(source: IO[bytes], limits: dict[str, int]) -> tuple[bytes, tuple[int, int]]:
    """Convert an image to an upright JPEG without metadata.

    Parameters:
      source: The file.
      limits: `pixels` of the original; `side` (pixels) and `jpeg_bytes` of the result.

    Returns:
      The JPEG, and its (width, height) in pixels.

    Raises:
      UnusablePhoto: It is not an image, or not one that can be sent.
      MemoryError: It needs too much memory.
    """
    # Imported within the limits, and outside the `try`: a failure is not the image's fault.
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # checked below, with a code of its own
    try:
        with Image.open(source, formats=_FORMATS) as image:
            _check_header(image, limits["pixels"])
            picture = _resize(image, limits["side"])
            return _encode(picture, limits["jpeg_bytes"]), picture.size
    except (UnusablePhoto, MemoryError):
        raise
    except UnidentifiedImageError:
        raise UnusablePhoto("photo_not_an_image") from None
    except Exception as error:
        # On malformed bytes, decoders raise exceptions of any kind.
        raise UnusablePhoto("photo_broken") from error


def _check_header(image: Image.Image, pixels: int) -> None:
    """Check the image's header, before anything is decoded."""
    if image.width * image.height > pixels:
        raise UnusablePhoto("photo_too_many_pixels")
    # Phones append a second picture (depth map, thumbnail) to the photo, as MPO.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise UnusablePhoto("photo_animated")


def _resize(image: Image.Image, side: int) -> Image.Image:
    from PIL import Image, ImageOps

    # JPEG decoders can scale to a half, a quarter or an eighth; other formats ignore this.
    scale = max(1, max(image.size) // (2 * side))
    image.draft(None, (max(1, image.width // scale), max(1, image.height // scale)))
    if image.mode not in _SCALABLE_MODES:
        image = image.convert("L" if image.mode.startswith("I") else "RGBA")
    # Scale down first, so that the steps after it work on a few megapixels.
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _to_srgb(_flatten(ImageOps.exif_transpose(image)))


def _flatten(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode not in ("LA", "RGBA"):
        return image
    layer = image.convert("RGBA")
    background = Image.new("RGB", image.size, "white")
    background.paste(layer, mask=layer.getchannel("A"))
    background.info = dict(image.info)
    return background


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert to sRGB before the colour profile is dropped: phones use wider gamuts."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if profile:
        with suppress(ImageCms.PyCMSError, OSError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
            return converted if converted is not None else image.convert("RGB")
    return image.convert("RGB")


def _encode(picture: Image.Image, max_bytes: int) -> bytes:
    picture.info = {}  # comments would be copied to the result
    for quality in _QUALITIES:
        jpeg = io.BytesIO()
        picture.save(jpeg, "JPEG", quality=quality, optimize=True)
        if jpeg.tell() <= max_bytes:
            return jpeg.getvalue()
    raise UnusablePhoto("photo_too_demanding")


if __name__ == "__main__":
    sys.exit(main())
