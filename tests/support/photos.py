"""Image files, valid and hostile, generated on demand."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, Final

from PIL import Image, ImageCms

#: EXIF tags: orientation, and two with personal data.
ORIENTATION: Final = 0x0112
_MAKER: Final = 0x010F
_GPS: Final = 0x8825
SECRET_MAKER: Final = "a-camera-with-a-name"
SECRET_COMMENT: Final = b"a-comment-of-the-photographer"


def picture(width: int = 320, height: int = 200, mode: str = "RGB") -> Image.Image:
    """An image whose left half is red and whose right half is blue."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (width // 2, 0, width, height))
    return image.convert(mode)


def encoded(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    """An image file."""
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def tagged_jpeg(orientation: int = 6) -> bytes:
    """A rotated photo with personal data: camera, place and comment."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[_MAKER] = orientation, SECRET_MAKER
    exif.get_ifd(_GPS)[1] = "N"
    return encoded(picture(), exif=exif, comment=SECRET_COMMENT)


def wide_gamut_jpeg() -> bytes:
    """A photo with a color profile."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return encoded(picture(), icc_profile=profile)


def png_bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A small file that decodes to gigabytes."""
    rows = zlib.compressobj(9)
    row = b"\0" + bytes((width + 7) // 8)
    packed = b"".join(rows.compress(row) for _ in range(min(height, 2_000))) + rows.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = (_chunk(b"IHDR", head), _chunk(b"IDAT", packed), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def text_bomb() -> bytes:
    """A PNG of one pixel with a comment that inflates to 256 MiB."""
    remark = b"Comment\0\0" + zlib.compress(bytes(256 * 1024 * 1024), 9)
    good = encoded(picture(1, 1), "PNG")
    return good[:33] + _chunk(b"zTXt", remark) + good[33:]


def animation(form: str = "WEBP") -> bytes:
    """An animation of two frames."""
    return encoded(picture(), form, save_all=True, append_images=[picture(mode="L").convert("RGB")])


def opened(data: bytes) -> Image.Image:
    """An image file, decoded."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def _chunk(name: bytes, data: bytes) -> bytes:
    checked = name + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))
