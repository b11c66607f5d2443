"""The web application as a fixture."""

from tests.support.web import door, served

__all__ = ["door", "served"]
