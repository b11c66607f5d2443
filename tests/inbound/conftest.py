"""The application that receives the deliveries."""

from __future__ import annotations

from tests.support.web import web, web_port

__all__ = ["web", "web_port"]
