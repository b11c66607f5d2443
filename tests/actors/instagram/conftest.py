"""The stand-in Instagram for every test of this room."""

from tests.support.fake_instagram import standin, standin_process

__all__ = ["standin", "standin_process"]
