"""Refuses query parameters that a route does not have: ignored, a mistyped filter shows everything.

What a route has is read from its own declaration, so that a new parameter is known without a list.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args, get_origin

from fastapi import Depends, FastAPI
from fastapi.dependencies.utils import get_flat_params, get_parameterless_sub_dependant
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.params import Query
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute

from service.config.errors import suggestion

#: `name[key]`: how OpenAPI's style `deepObject` writes the keys of an object.
_KEY_OF_OBJECT: Final = re.compile(r"([^\[\]]+)\[[^\[\]]+\]")
_SEVERAL: Final = (list, tuple, set, frozenset)


@dataclass(frozen=True)
class QueryParameters:
    """The query parameters of one route.

    Parameters:
      several: The name of each, and whether it may be given more than once.
      objects: Names of those that are given by key, as `metadata[order]=17`.
    """

    several: Mapping[str, bool]
    objects: frozenset[str] = frozenset()

    @classmethod
    def of(cls, route: RouteContext | APIRoute) -> QueryParameters:
        """Those that the route's function and its dependencies declare, or its `openapi_extra`."""
        declared = {
            field.alias: _takes_several(field.field_info.annotation)
            for field in get_flat_params(route.dependant)
            if isinstance(field.field_info, Query)
        }
        extra = (getattr(route, "openapi_extra", None) or {}).get("parameters", ())
        objects = (each["name"] for each in extra if each.get("style") == "deepObject")
        return cls(declared, frozenset(objects))

    def problems(self, given: Counter[str]) -> Iterator[tuple[str, str]]:
        """The names that cannot be used, each with what is wrong and the remedy.

        Parameters:
          given: How often each name is in the query.
        """
        for name, times in given.items():
            if not self._is_known(name):
                yield name, f"is not a parameter here: {suggestion(name, self._names())}"
            elif times > 1 and not self.several.get(name, False):
                yield name, f"is given {times} times: send it once"

    def _is_known(self, name: str) -> bool:
        key = _KEY_OF_OBJECT.fullmatch(name)
        return name in self.several or (key is not None and key[1] in self.objects)

    def _names(self) -> set[str]:
        return {*self.several, *(f"{name}[key]" for name in self.objects)}


def refuse_unknown_parameters(app: FastAPI, exempt: Collection[BaseRoute]) -> None:
    """Have the routes that an application has so far refuse other query parameters than their own.

    The check is the last dependency of each, so that who has no key is told that first.

    Parameters:
      app: Its routes are declared with FastAPI.
      exempt: Routes that take any query.
    """
    for route in iter_route_contexts(app.routes):
        if route.original_route not in exempt:
            check = Depends(StrictQuery(QueryParameters.of(route)))
            last = get_parameterless_sub_dependant(depends=check, path=route.path or "")
            route.dependant.dependencies.append(last)


class StrictQuery:
    """A dependency that refuses a query with other parameters than those of its route.

    Parameters:
      parameters: Those of its route.
    """

    def __init__(self, parameters: QueryParameters) -> None:
        self._parameters = parameters

    async def __call__(self, connection: HTTPConnection) -> None:
        """Check the query of a request, or of a WebSocket's opening request.

        Raises:
          ValidationException: 422; it names each parameter that cannot be used.
        """
        if not connection.scope["query_string"]:
            return
        given = Counter(name for name, _ in connection.query_params.multi_items())
        errors = [_validation_problem(*problem) for problem in self._parameters.problems(given)]
        if errors and connection.scope["type"] == "websocket":
            raise WebSocketRequestValidationError(errors)
        if errors:
            raise RequestValidationError(errors)


def _validation_problem(name: str, message: str) -> dict[str, Any]:
    return {"type": "value_error", "loc": ("query", name), "ctx": {"error": message}}


def _takes_several(annotation: Any) -> bool:
    """Whether a parameter of this type, or of one in its union, is a list."""
    if (get_origin(annotation) or annotation) in _SEVERAL:
        return True
    return any(_takes_several(part) for part in get_args(annotation))
