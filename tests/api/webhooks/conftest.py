"""The web application as a fixture."""

from tests.support.web import web, web_port

__all__ = ["web", "web_port"]
