"""Why a value cannot be used in a template."""

from __future__ import annotations

from jinja2 import TemplateRuntimeError


class FilterError(TemplateRuntimeError):
    """A filter or operator rejects its input; the message has no data in it."""
