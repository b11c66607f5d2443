"""One image in, one clean JPEG out, in a process of its own that cannot take more than its limits.

Run by its path and isolated (`python -I converter_subprocess.py LIMITS`), so that nothing of
Heliograph is loaded or known here. The file is the standard input. The standard output is one line
of JSON, then the JPEG: `{"width", "height"}`, or `{"error": code}` with a code of `photo.REFUSALS`.
"""

from __future__ import annotations

import io
import json
import resource
import signal
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from PIL import Image

#: What Instagram takes for DMs. Every decoder more is one more that hostile bytes can reach.
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
#: The modes that are scaled as they are; others (palettes, 16 bits) are converted first.
_PLAIN: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})
_QUALITIES: Final = (88, 75, 60, 40)


class UnusablePhoto(Exception):
    """The image is refused; the code is the argument."""


def main() -> int:
    """Develop what comes in, within the limits of the first argument."""
    limits: dict[str, int] = json.loads(sys.argv[1])
    limit_resources(limits)
    reply: dict[str, Any]
    try:
        jpeg, (width, height) = convert(sys.stdin.buffer, limits)
        reply = {"width": width, "height": height}
    except UnusablePhoto as refused:
        jpeg, reply = b"", {"error": refused.args[0]}
    except MemoryError:
        jpeg, reply = b"", {"error": "photo_too_demanding"}
    sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n" + jpeg)
    return 0


def limit_resources(limits: dict[str, int]) -> None:
    """Have the kernel end this process before it takes too much.

    Parameters:
      limits: `memory_bytes`, `cpu_seconds`, `seconds` (by the clock), `output_bytes`.
    """
    signal.alarm(limits["seconds"])
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_FSIZE, limits["output_bytes"]),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
    ):
        # macOS has no limit of memory; its developers have their own photos only.
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


def convert(source: IO[bytes], limits: dict[str, int]) -> tuple[bytes, tuple[int, int]]:
    """Turn an image into an upright JPEG that carries nothing but the picture.

    Parameters:
      source: The file.
      limits: `pixels` of the original; `side` (pixels) and `jpeg_bytes` of the result.

    Returns:
      The JPEG, its width and its height.

    Raises:
      Refused: It is no image, or none of ours.
      MemoryError: It takes too much.
    """
    # Loaded within the limits. Without it nothing works, which is no fault of the image's.
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # checked below, with an answer of our own
    try:
        with Image.open(source, formats=_FORMATS) as image:
            _check(image, limits["pixels"])
            picture = _picture(image, limits["side"])
            return _encoded(picture, limits["jpeg_bytes"]), picture.size
    except (UnusablePhoto, MemoryError):
        raise
    except UnidentifiedImageError:
        raise UnusablePhoto("photo_not_an_image") from None
    except Exception as error:
        # Decoders raise whatever they like on hostile bytes.
        raise UnusablePhoto("photo_broken") from error


def _check(image: Image.Image, pixels: int) -> None:
    """Judge by the header: nothing is decoded yet."""
    if image.width * image.height > pixels:
        raise UnusablePhoto("photo_too_many_pixels")
    # Phones put a second picture (depth, a thumbnail) behind the photo, as MPO.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise UnusablePhoto("photo_animated")


def _picture(image: Image.Image, side: int) -> Image.Image:
    from PIL import Image, ImageOps

    # JPEG's own scaling decodes a half, a quarter or an eighth of it; the others take no notice.
    scale = max(1, max(image.size) // (2 * side))
    image.draft(None, (max(1, image.width // scale), max(1, image.height // scale)))
    if image.mode not in _PLAIN:
        image = image.convert("L" if image.mode.startswith("I") else "RGBA")
    # First smaller, then the rest: each step after it works on a few megapixels.
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _in_srgb(_opaque(ImageOps.exif_transpose(image)))


def _opaque(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode not in ("LA", "RGBA"):
        return image
    layer = image.convert("RGBA")
    paper = Image.new("RGB", image.size, "white")
    paper.paste(layer, mask=layer.getchannel("A"))
    paper.info = dict(image.info)
    return paper


def _in_srgb(image: Image.Image) -> Image.Image:
    """Put colours right before their profile is dropped: phones' are wider than sRGB."""
    from PIL import ImageCms

    profile = image.info.get("icc_profile")
    if profile:
        with suppress(ImageCms.PyCMSError, OSError):
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            turned = ImageCms.profileToProfile(image, given, srgb, outputMode="RGB")
            return turned if turned is not None else image.convert("RGB")
    return image.convert("RGB")


def _encoded(picture: Image.Image, most: int) -> bytes:
    picture.info = {}  # comments would be written again
    for quality in _QUALITIES:
        jpeg = io.BytesIO()
        picture.save(jpeg, "JPEG", quality=quality, optimize=True)
        if jpeg.tell() <= most:
            return jpeg.getvalue()
    raise UnusablePhoto("photo_too_demanding")


if __name__ == "__main__":
    sys.exit(main())
