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
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [fields]})


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
