"""Which FHIR elements repeat and which are numbers: what JSON says by its syntax and XML does not.

Read from the models of ``fhir.resources.R4B``, once for each type.
"""

from __future__ import annotations

import decimal
import types
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from fhir.resources.R4B import get_fhir_model_class

PRIMITIVE = ""
RESOURCE = "Resource"


class Shape(NamedTuple):
    """One element: ``type_name`` is a complex type, ``"Resource"``, or ``""`` for a primitive."""

    repeats: bool
    type_name: str
    python_type: type = str


@lru_cache(maxsize=512)
def shapes_of(type_name: str) -> Mapping[str, Shape]:
    """The elements of a FHIR type by name. Raises ``ValueError`` for an unknown type."""
    fields = get_fhir_model_class(type_name).model_fields
    return {
        field.alias or name: _shape(field.annotation)
        for name, field in fields.items()
        if not name.endswith("__ext") and name != "fhir_comments"
    }


def _shape(annotation: Any) -> Shape:
    annotation, repeats = _bare(annotation), False
    if get_origin(annotation) is list:
        annotation, repeats = _bare(get_args(annotation)[0]), True
    name: str = annotation.__name__
    if annotation in (str, int, bool, decimal.Decimal):
        return Shape(repeats, PRIMITIVE, annotation)
    if name.endswith("Type"):
        return Shape(repeats, name.removesuffix("Type"))
    return Shape(repeats, PRIMITIVE)


def _bare(annotation: Any) -> Any:
    """Without ``Optional`` and ``Annotated``."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, types.UnionType):
            annotation = next(part for part in get_args(annotation) if part is not type(None))
        else:
            return annotation
