"""Photo conversion in subprocesses: results, and limits for untrusted images."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from deploy.local.wait import until
from service.photos.converter import (
    LIMITS,
    MAX_JPEG_BYTES,
    MAX_SIDE,
    PROGRAM,
    ConversionFailed,
    ConverterBusy,
    PhotoConverter,
)
from service.photos.photo import MAX_PHOTO_BYTES, Photo, PhotoRefused
from service.photos.spooled_file import SpooledFile
from tests.support.photos import encoded, opened, picture, tagged_jpeg, wide_gamut_jpeg


async def convert(data: bytes, converter: PhotoConverter) -> Photo:
    with SpooledFile() as incoming:
        incoming.write(data)
        await incoming.finish()
        return await converter.convert(incoming)


def converted(data: bytes, **limits: int) -> Photo:
    return asyncio.run(convert(data, PhotoConverter(limits={**LIMITS, **limits})))


def with_program(directory: Path, code: str, **limits: int) -> PhotoConverter:
    """A converter whose subprocesses run another program."""
    path = directory / "program.py"
    path.write_text(code)
    return PhotoConverter(limits={**LIMITS, **limits}, program=str(path))


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"),
        ("RGB", "PNG"), ("RGBA", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("1", "PNG"), ("I;16", "PNG"),
        ("RGB", "WEBP"), ("RGBA", "WEBP"),
    ],
)  # fmt: skip
def test_every_mode_and_format_becomes_a_plain_jpeg(mode: str, form: str) -> None:
    image = Image.new("I;16", (320, 200), 60_000) if mode == "I;16" else picture(mode=mode)
    photo = converted(encoded(image, form))
    image_out = opened(photo.jpeg)
    assert (image_out.format, image_out.mode, image_out.size) == ("JPEG", "RGB", (320, 200))
    assert (photo.width, photo.height) == image_out.size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied(orientation: int) -> None:
    photo = converted(tagged_jpeg(orientation))
    assert (photo.width, photo.height) == ((320, 200) if orientation < 5 else (200, 320))
    red = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1)}
    across, down = red[orientation]
    corner = ((photo.width - 2) * across + 1, (photo.height - 2) * down + 1)
    assert opened(photo.jpeg).getpixel(corner) == (254, 0, 0)


def test_transparency_becomes_white() -> None:
    photo = converted(encoded(Image.new("RGBA", (20, 20), (0, 0, 0, 0)), "PNG"))
    assert opened(photo.jpeg).getpixel((10, 10)) == (255, 255, 255)


def test_a_colour_profile_is_applied_and_removed() -> None:
    image_out = opened(converted(wide_gamut_jpeg()).jpeg)
    assert "icc_profile" not in image_out.info
    assert image_out.getpixel((10, 10)) == (254, 0, 0)


@pytest.mark.parametrize("size", [(4000, 3000), (3000, 4000), (20_000, 3), (1, 1)])
def test_the_longer_side_is_limited_and_the_aspect_ratio_kept(size: tuple[int, int]) -> None:
    photo = converted(encoded(Image.new("RGB", size, "green")))
    longer, shorter = max(photo.width, photo.height), min(photo.width, photo.height)
    assert longer == min(max(size), MAX_SIDE)
    assert shorter == pytest.approx(max(1, min(size) * longer / max(size)), abs=1)


def test_photos_that_compress_badly_stay_below_the_limit() -> None:
    noise = Image.frombytes("RGB", (1600, 1600), os.urandom(1600 * 1600 * 3))
    photo = converted(encoded(noise, "JPEG", quality=90))
    assert 100_000 < len(photo.jpeg) <= MAX_JPEG_BYTES


def test_one_byte_over_the_limit_is_rejected() -> None:
    with SpooledFile() as incoming:
        incoming.write(bytes(MAX_PHOTO_BYTES))
        with pytest.raises(PhotoRefused) as raised:
            incoming.write(b"x")
    assert raised.value.code == "photo_too_large"


def test_an_image_that_needs_too_much_memory_is_rejected() -> None:
    large = encoded(Image.new("RGBA", (4000, 4000)), "PNG")
    with pytest.raises(PhotoRefused) as raised:
        converted(large, memory_bytes=128 * 1024 * 1024)
    assert raised.value.code == "photo_too_demanding"


def test_an_image_that_takes_too_long_is_rejected() -> None:
    large = encoded(Image.new("RGB", (5000, 4900)), "PNG", compress_level=1)
    with pytest.raises(PhotoRefused) as raised:
        converted(large, cpu_seconds=0)
    assert raised.value.code == "photo_too_demanding"


ENDINGS = {
    "dies": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "hangs": "import signal, time; signal.alarm(1); time.sleep(60)",
    "hangs without an alarm": "import signal, time; signal.alarm(0); time.sleep(60)",
}


@pytest.mark.parametrize("code", ENDINGS.values(), ids=ENDINGS.keys())
def test_a_subprocess_that_dies_or_hangs_rejects_only_its_own_photo(
    tmp_path: Path, code: str
) -> None:
    # Given a program that fails once like this, and then works
    ended = tmp_path / "ended"
    once = f"import os, runpy\nif not os.path.exists({str(ended)!r}):\n"
    once += f"    open({str(ended)!r}, 'w').close()\n    {code}\n"
    works = f"runpy.run_path({PROGRAM!r}, run_name='__main__')"
    converter = with_program(tmp_path, once + works, seconds=1)

    # When two photos are converted one after the other
    async def first_and_second() -> tuple[PhotoRefused, Photo]:
        with pytest.raises(PhotoRefused) as raised:
            await convert(tagged_jpeg(), converter)
        return raised.value, await convert(tagged_jpeg(), converter)

    refused, photo = asyncio.run(first_and_second())
    # Then only the first is rejected
    assert (refused.code, photo.width) == ("photo_too_demanding", 200)


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "print('no json')", "", "nonsense("])
def test_a_failing_subprocess_is_not_blamed_on_the_photo(tmp_path: Path, code: str) -> None:
    with pytest.raises(ConversionFailed):
        asyncio.run(convert(tagged_jpeg(), with_program(tmp_path, code)))


def test_a_subprocess_does_not_inherit_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "a secret")
    variables = tmp_path / "variables"
    code = f"import os; open({str(variables)!r}, 'w').write(repr(dict(os.environ)))"
    with pytest.raises(ConversionFailed):
        asyncio.run(convert(tagged_jpeg(), with_program(tmp_path, code)))
    assert "a secret" not in variables.read_text()


def test_canceling_kills_the_subprocess(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    converter = with_program(tmp_path, code)

    async def cancel() -> None:
        task = asyncio.create_task(convert(tagged_jpeg(), converter))
        await asyncio.to_thread(until, lambda: pid.exists() and pid.read_text())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_subprocesses_run_one_at_a_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        f"import os, time\nwith open({str(log)!r}, 'a') as log:\n"
        "    print('begins', file=log, flush=True)\n    time.sleep(0.05)\n"
        "    print('ends', file=log, flush=True)\nraise SystemExit(3)"
    )
    converter = with_program(tmp_path, code)

    async def convert_four() -> list[Any]:
        photos = (convert(tagged_jpeg(), converter) for _ in range(4))
        return await asyncio.gather(*photos, return_exceptions=True)

    assert {type(result) for result in asyncio.run(convert_four())} == {ConversionFailed}
    assert log.read_text().split() == ["begins", "ends"] * 4


def test_pending_photos_are_limited() -> None:
    converter = PhotoConverter(max_pending=2)
    with (
        converter.reserve(),
        converter.reserve(),
        pytest.raises(ConverterBusy),
        converter.reserve(),
    ):
        pass
    with converter.reserve():
        pass


def test_a_web_process_loads_no_image_decoder() -> None:
    code = "import sys, service.app; print([n for n in sys.modules if n.split('.')[0] == 'PIL'])"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert printed.stdout == b"[]\n"
