"""Decoding in processes of their own: what comes out, and what hostile images cannot do."""

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


async def develop(data: bytes, room: PhotoConverter) -> Photo:
    with SpooledFile() as incoming:
        incoming.write(data)
        await incoming.finish()
        return await room.convert(incoming)


def developed(data: bytes, **limits: int) -> Photo:
    return asyncio.run(develop(data, PhotoConverter(limits={**LIMITS, **limits})))


def with_program(directory: Path, code: str, **limits: int) -> PhotoConverter:
    """A darkroom whose processes do something else."""
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
    photo = developed(encoded(image, form))
    made = opened(photo.jpeg)
    assert (made.format, made.mode, made.size) == ("JPEG", "RGB", (320, 200))
    assert (photo.width, photo.height) == made.size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied(orientation: int) -> None:
    photo = developed(tagged_jpeg(orientation))
    assert (photo.width, photo.height) == ((320, 200) if orientation < 5 else (200, 320))
    red = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1)}
    across, down = red[orientation]
    corner = ((photo.width - 2) * across + 1, (photo.height - 2) * down + 1)
    assert opened(photo.jpeg).getpixel(corner) == (254, 0, 0)


def test_transparency_becomes_white() -> None:
    photo = developed(encoded(Image.new("RGBA", (20, 20), (0, 0, 0, 0)), "PNG"))
    assert opened(photo.jpeg).getpixel((10, 10)) == (255, 255, 255)


def test_a_colour_profile_is_applied_and_left_out() -> None:
    made = opened(developed(wide_gamut_jpeg()).jpeg)
    assert "icc_profile" not in made.info
    assert made.getpixel((10, 10)) == (254, 0, 0)


@pytest.mark.parametrize("size", [(4000, 3000), (3000, 4000), (20_000, 3), (1, 1)])
def test_the_longer_side_is_bounded_and_the_shape_is_kept(size: tuple[int, int]) -> None:
    photo = developed(encoded(Image.new("RGB", size, "green")))
    longer, shorter = max(photo.width, photo.height), min(photo.width, photo.height)
    assert longer == min(max(size), MAX_SIDE)
    assert shorter == pytest.approx(max(1, min(size) * longer / max(size)), abs=1)


def test_what_compresses_badly_is_bounded_too() -> None:
    noise = Image.frombytes("RGB", (1600, 1600), os.urandom(1600 * 1600 * 3))
    photo = developed(encoded(noise, "JPEG", quality=90))
    assert 100_000 < len(photo.jpeg) <= MAX_JPEG_BYTES


def test_one_byte_more_than_the_cap_is_refused() -> None:
    with SpooledFile() as incoming:
        incoming.write(bytes(MAX_PHOTO_BYTES))
        with pytest.raises(PhotoRefused) as refused:
            incoming.write(b"x")
    assert refused.value.code == "photo_too_large"


def test_an_image_that_takes_more_memory_than_it_may_is_refused() -> None:
    large = encoded(Image.new("RGBA", (4000, 4000)), "PNG")
    with pytest.raises(PhotoRefused) as refused:
        developed(large, memory_bytes=128 * 1024 * 1024)
    assert refused.value.code == "photo_too_demanding"


def test_an_image_that_takes_longer_than_it_may_is_refused() -> None:
    large = encoded(Image.new("RGB", (5000, 4900)), "PNG", compress_level=1)
    with pytest.raises(PhotoRefused) as refused:
        developed(large, cpu_seconds=0)
    assert refused.value.code == "photo_too_demanding"


ENDINGS = {
    "dies": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "hangs": "import signal, time; signal.alarm(1); time.sleep(60)",
    "hangs, and its own alarm does not ring": "import time; time.sleep(60)",
}


@pytest.mark.parametrize("code", ENDINGS.values(), ids=ENDINGS.keys())
def test_a_process_that_dies_or_hangs_refuses_its_photo_and_no_other(
    tmp_path: Path, code: str
) -> None:
    # Given a program that ends like this once, and then works
    ended = tmp_path / "ended"
    once = f"import os, runpy\nif not os.path.exists({str(ended)!r}):\n"
    once += f"    open({str(ended)!r}, 'w').close()\n    {code}\n"
    works = f"runpy.run_path({PROGRAM!r}, run_name='__main__')"
    room = with_program(tmp_path, once + works, seconds=1)

    # When two photos come one after the other
    async def first_and_second() -> tuple[PhotoRefused, Photo]:
        with pytest.raises(PhotoRefused) as refused:
            await develop(tagged_jpeg(), room)
        return refused.value, await develop(tagged_jpeg(), room)

    refused, photo = asyncio.run(first_and_second())
    # Then only the first is refused
    assert (refused.code, photo.width) == ("photo_too_demanding", 200)


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "print('no json')", "", "nonsense("])
def test_a_process_that_cannot_work_is_no_fault_of_the_photo(tmp_path: Path, code: str) -> None:
    with pytest.raises(ConversionFailed):
        asyncio.run(develop(tagged_jpeg(), with_program(tmp_path, code)))


def test_a_process_knows_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "a secret")
    seen = tmp_path / "seen"
    code = f"import os; open({str(seen)!r}, 'w').write(repr(dict(os.environ)))"
    with pytest.raises(ConversionFailed):
        asyncio.run(develop(tagged_jpeg(), with_program(tmp_path, code)))
    assert "a secret" not in seen.read_text()


def test_giving_up_ends_the_process(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    room = with_program(tmp_path, code)

    async def give_up() -> None:
        task = asyncio.create_task(develop(tagged_jpeg(), room))
        await asyncio.to_thread(until, lambda: pid.exists() and pid.read_text())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_there_is_one_process_at_a_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        f"import os, time\nwith open({str(log)!r}, 'a') as log:\n"
        "    print('begins', file=log, flush=True)\n    time.sleep(0.05)\n"
        "    print('ends', file=log, flush=True)\nraise SystemExit(3)"
    )
    room = with_program(tmp_path, code)

    async def crowd() -> list[Any]:
        photos = (develop(tagged_jpeg(), room) for _ in range(4))
        return await asyncio.gather(*photos, return_exceptions=True)

    assert {type(each) for each in asyncio.run(crowd())} == {ConversionFailed}
    assert log.read_text().split() == ["begins", "ends"] * 4


def test_no_more_photos_are_under_way_than_there_is_room_for() -> None:
    room = PhotoConverter(room=2)
    with room.reserve(), room.reserve(), pytest.raises(ConverterBusy), room.reserve():
        pass
    with room.reserve():
        pass


def test_a_web_process_loads_nothing_that_decodes() -> None:
    code = "import sys, service.app; print([n for n in sys.modules if n.split('.')[0] == 'PIL'])"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert printed.stdout == b"[]\n"
