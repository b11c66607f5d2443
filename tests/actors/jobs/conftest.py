"""The fake Instagram, for every test of this folder."""

from tests.support.fake_instagram import fake_instagram, fake_instagram_process

__all__ = ["fake_instagram", "fake_instagram_process"]
