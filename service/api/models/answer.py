"""What all answers share."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

Time = Annotated[
    str,
    WithJsonSchema(
        {"type": "string", "format": "date-time", "description": "RFC 3339, UTC, milliseconds"}
    ),
]

_KEPT_NULL: Final = "(null)"
#: For examples.
JOB_ID: Final = "job_jegxacjdmuhgbwsjcg2fxbjjo5"


class Answer(BaseModel):
    """An object of an answer: it has no fields but these."""

    model_config = ConfigDict(extra="forbid")


class Page(Answer):
    """A page of a list; each list declares its `items`."""

    next: str | None = Field(
        description="The `cursor` of the next page; null on the last. A page may have fewer items"
        " than `limit`, even none, although more follow"
    )


def example(**fields: Any) -> ConfigDict:
    """Return the configuration of an answer with an example of it."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [keep_nulls(fields)]})


#: Of an answer that extends one with an example, which would lack its fields.
NO_EXAMPLE: Final = ConfigDict(json_schema_extra=None)


def keep_nulls(value: Any) -> Any:
    """Return an example whose nulls FastAPI does not drop; `restore_nulls` brings them back."""
    return _replace(value, None, _KEPT_NULL)


def restore_nulls(value: Any) -> Any:
    """Return a document with the nulls of its examples."""
    return _replace(value, _KEPT_NULL, None)


def _replace(value: Any, old: Any, new: Any) -> Any:
    if isinstance(value, dict):
        return {name: _replace(each, old, new) for name, each in value.items()}
    if isinstance(value, list):
        return [_replace(each, old, new) for each in value]
    return new if value == old else value


def shown_as(model: type[BaseModel]) -> dict[str, Any]:
    """Document a response as one with this body, which it is not validated against."""
    return {"model": model, "description": (model.__doc__ or "").partition("\n")[0]}


def sometimes(description: str, **more: Any) -> Any:
    """Declare a field that some answers do not have: where they do, it is not null.

    Parameters:
      description: Which have it, and what it is.
      more: Further arguments of `Field`.
    """
    return Field(default=None, description=description, json_schema_extra=_remove_default, **more)


def _remove_default(schema: dict[str, Any]) -> None:
    del schema["default"]
