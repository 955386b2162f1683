"""What a model sees of a function, written out by hand for every hint that is worth having.

A name that ends in `?` may be left out.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,  # pydantic refuses typing's before Python 3.12
    Optional,
    TypeAlias,
)
from uuid import UUID

import annotated_types
import jsonschema
import pytest
from pydantic import BaseModel, ByteSize, Field, HttpUrl, PositiveInt
from typing_extensions import TypedDict

from evibridge.tools_registry.arguments import ToolArguments
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.docstring import read_docstring

Json: TypeAlias = dict[str, Any]
Function: TypeAlias = Callable[..., object]

TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer"}
NUMBER: Json = {"type": "number"}
FLAG: Json = {"type": "boolean"}
NULL: Json = {"type": "null"}
DAY: Json = {"type": "string", "format": "date"}
MOMENT: Json = {"type": "string", "format": "date-time"}


def one_of(*choices: Json, **beside: object) -> Json:
    return {"anyOf": list(choices), **beside}


def many(items: Json, **beside: object) -> Json:
    return {"type": "array", "items": items, **beside}


def members(schemas: dict[str, Json], **beside: object) -> Json:
    required = [name for name in schemas if not name.endswith("?")]
    properties = {name.removesuffix("?"): schema for name, schema in schemas.items()}
    return {
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        **beside,
    }


def closed(schemas: dict[str, Json], **beside: object) -> Json:
    return members(schemas, additionalProperties=False, **beside)


@dataclass(frozen=True)
class Signature:
    function: Function
    schema: Json
    not_strict: str | None
    """Why the strict format has no such schema; `None` where it has one."""

    def arguments(self, *, strict: bool = False) -> ToolArguments:
        descriptions = read_docstring(inspect.getdoc(self.function) or "").parameters
        return ToolArguments(
            self.function, f"{self.function.__name__}()", descriptions, strict=strict
        )


SIGNATURES: list[Signature] = []


def shows(
    schemas: dict[str, Json], *, not_strict: str | None = None
) -> Callable[[Function], Function]:
    """Note what a function is expected to show to a model."""

    def note(function: Function) -> Function:
        schema = {"required": [], **closed(schemas)}
        SIGNATURES.append(Signature(function, schema, not_strict))
        return function

    return note


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Stars(IntEnum):
    ONE = 1
    FIVE = 5


class Line(BaseModel):
    """One line of an order."""

    title: str
    count: Annotated[int, Field(ge=1)] = 1


class Customer(BaseModel):
    name: str = Field(description="as it is spoken", alias="fullName")
    born: date | None


class Order(BaseModel):
    """What somebody wants."""

    customer: Customer
    lines: list[Line] = Field(description="at least one", min_length=1)
    gift: bool = False
    notes: list[str] = Field(default_factory=list)


class Parcel(BaseModel):
    grams: PositiveInt
    size: Size


class Shipment(BaseModel):
    """Parcels on their way."""

    parcels: list[Parcel]
    spare: Parcel | None


@dataclass
class Address:
    street: str
    floor: int = 0
    bells: list[str] = field(default_factory=list)


class Slot(TypedDict):
    day: date
    hour: NotRequired[int]


class Wishes(TypedDict, total=False):
    window: bool


class Point(NamedTuple):
    x: float
    label: str = "here"


class Tea(BaseModel):
    kind: Literal["tea"] = "tea"
    grams: int


class Book(BaseModel):
    kind: Literal["book"]
    pages: int = 100


class Open(BaseModel, extra="allow"):
    name: str


OrderId = NewType("OrderId", str)
Names: TypeAlias = list[str]
Goods: TypeAlias = Annotated[Tea | Book, Field(discriminator="kind")]
Code: TypeAlias = Annotated[str, Field(min_length=2, max_length=4, pattern="^[A-Z]+$")]

LINE = members(
    {"title": TEXT, "count?": {**WHOLE, "minimum": 1, "default": 1}},
    description="One line of an order.",
)
CUSTOMER = members(
    {"fullName": {**TEXT, "description": "as it is spoken"}, "born": one_of(DAY, NULL)}
)
PARCEL = members({"grams": {**WHOLE, "exclusiveMinimum": 0}, "size": {**TEXT, "enum": ["s", "l"]}})
TEA = members({"kind?": {**TEXT, "const": "tea", "default": "tea"}, "grams": WHOLE})
BOOK = members({"kind": {**TEXT, "const": "book"}, "pages?": {**WHOLE, "default": 100}})
TAGGED_TEA = members({"kind": {**TEXT, "const": "tea"}, "grams": WHOLE})
ADDRESS = closed({"street": TEXT, "floor?": {**WHOLE, "default": 0}, "bells?": many(TEXT)})


# Plain values


@shows({})
def nothing() -> None: ...


@shows({"a": TEXT, "b": WHOLE, "c": NUMBER, "d": FLAG})
def plain(a: str, b: int, c: float, d: bool) -> None: ...


@shows({"a?": {**TEXT, "default": "x"}, "b?": {**WHOLE, "default": 3}})
def default_text_and_whole(a: str = "x", b: int = 3) -> None: ...


@shows({"a?": {**NUMBER, "default": 0.5}, "b?": {**FLAG, "default": True}})
def default_number_and_flag(a: float = 0.5, b: bool = True) -> None: ...


@shows({"a": TEXT, "b": WHOLE, "c?": {**FLAG, "default": False}})
def keyword_only(a: str, *, b: int, c: bool = False) -> None: ...


@shows({"a": NULL})
def none(a: None) -> None: ...


@shows({"a": one_of(TEXT, NULL)})
def text_or_none(a: str | None) -> None: ...


@shows({"a?": one_of(TEXT, NULL, default=None)})
def none_by_default(a: str | None = None) -> None: ...


@shows({"a?": one_of(WHOLE, NULL, default=None)})
def optional(a: Optional[int] = None) -> None: ...  # noqa: UP045  as people still write it


@shows({"a?": {**TEXT, "default": None}})
def none_against_the_hint(a: str = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013


@shows({"a": one_of(WHOLE, TEXT), "b": one_of(WHOLE, NUMBER)})
def unions(a: int | str, b: int | float) -> None: ...  # noqa: PYI041  as people write it


@shows({"a": {}}, not_strict="'a' takes any value")
def anything(a: Any) -> None: ...


@shows({"a": TEXT, "b": many(TEXT)})
def aliased(a: OrderId, b: Names) -> None: ...


# Values to choose from


@shows({"a": {**TEXT, "enum": ["red", "blue"]}, "b": {**TEXT, "const": "only"}})
def literal_texts(a: Literal["red", "blue"], b: Literal["only"]) -> None: ...


@shows({"a": {**WHOLE, "enum": [1, 2]}, "b?": {**WHOLE, "enum": [1, 2], "default": 1}})
def literal_wholes(a: Literal[1, 2], b: Literal[1, 2] = 1) -> None: ...


@shows({"a": {"enum": ["all", 1]}, "b": {"enum": ["x", None]}})
def literal_mixture(a: Literal["all", 1], b: Literal["x", None]) -> None: ...  # noqa: PYI061


@shows({"a": {**TEXT, "enum": ["s", "l"]}, "b?": {**TEXT, "enum": ["s", "l"], "default": "l"}})
def enumeration(a: Size, b: Size = Size.LARGE) -> None: ...


@shows({"a": {**TEXT, "enum": ["red", "blue"]}, "b": {**WHOLE, "enum": [1, 5]}})
def text_and_whole_enumerations(a: Colour, b: Stars) -> None: ...


# Several values


@shows({"a": many(WHOLE), "b?": many(TEXT, default=[]), "c": many(many(NUMBER))})
def lists(a: list[int], c: list[list[float]], b: list[str] = []) -> None: ...  # noqa: B006


@shows({"a": many(LINE)})
def list_of_models(a: list[Line]) -> None: ...


@shows({"a": many(WHOLE, uniqueItems=True), "b": many(TEXT, uniqueItems=True)})
def sets(a: set[int], b: frozenset[str]) -> None: ...


@shows(
    {"a": {"type": "array", "prefixItems": [WHOLE, TEXT], "minItems": 2, "maxItems": 2}},
    not_strict="'a' is a tuple",
)
def pair(a: tuple[int, str]) -> None: ...


@shows({"a": many(WHOLE), "b": many(TEXT)})
def tuple_and_sequence(a: tuple[int, ...], b: Sequence[str]) -> None: ...


@shows(
    {"a": {"type": "object", "additionalProperties": WHOLE}},
    not_strict="'a' takes members of any name",
)
def mapping(a: dict[str, int]) -> None: ...


@shows(
    {"a": {"type": "object", "additionalProperties": True}},
    not_strict="'a' takes members of any name",
)
def mapping_to_anything(a: dict[str, Any]) -> None: ...


@shows({"a": many({})}, not_strict="'a[]' takes any value")
def bare_list(a: list) -> None: ...  # type: ignore[type-arg]


@shows({"a?": many(TEXT)})
def default_factory(a: Annotated[list[str], Field(default_factory=list)]) -> None: ...


# Objects


@shows(
    {
        "a": members(
            {
                "customer": CUSTOMER,
                "lines": many(LINE, minItems=1, description="at least one"),
                "gift?": {**FLAG, "default": False},
                "notes?": many(TEXT),
            },
            description="What somebody wants.",
        )
    }
)
def model_two_deep(a: Order) -> None: ...


@shows(
    {
        "a": members(
            {"parcels": many(PARCEL), "spare": one_of(PARCEL, NULL)},
            description="Parcels on their way.",
        )
    }
)
def model_without_defaults(a: Shipment) -> None: ...


@shows({"a?": one_of(LINE, NULL, default=None)})
def model_or_none(a: Line | None = None) -> None: ...


@shows({"a": ADDRESS, "b": many(ADDRESS)})
def data_classes(a: Address, b: list[Address]) -> None: ...


@shows({"a": closed({"day": DAY, "hour?": WHOLE}), "b": closed({"window?": FLAG})})
def typed_dictionaries(a: Slot, b: Wishes) -> None: ...


@shows({"a": closed({"x": NUMBER, "label?": {**TEXT, "default": "here"}})})
def named_tuple(a: Point) -> None: ...


@shows({"a": {"oneOf": [TAGGED_TEA, BOOK]}, "b": one_of(TEA, BOOK)})
def tagged_and_plain_union(a: Goods, b: Tea | Book) -> None: ...


@shows(
    {"a": members({"name": TEXT}, additionalProperties=True)},
    not_strict="'a' takes members of any name",
)
def open_model(a: Open) -> None: ...


# Text with a form, and numbers with limits


@shows({"a": DAY, "b": MOMENT, "c": {**TEXT, "format": "time"}})
def day_and_time(a: date, b: datetime, c: time) -> None: ...


@shows({"a": {**TEXT, "format": "duration"}, "b?": {**DAY, "default": "2025-02-03"}})
def duration_and_default_day(a: timedelta, b: date = date(2025, 2, 3)) -> None: ...


@shows({"a": one_of(MOMENT, {**TEXT, "const": "now"})})
def moment_or_now(a: datetime | Literal["now"]) -> None: ...


@shows({"a": {**TEXT, "format": "uuid"}, "b": {**TEXT, "format": "ipv4"}})
def identifiers(a: UUID, b: IPv4Address) -> None: ...


@shows({"a": {**TEXT, "format": "path"}})
def path(a: Path) -> None: ...


@shows({"a": {**TEXT, "format": "uri", "minLength": 1, "maxLength": 2083}})
def url(a: HttpUrl) -> None: ...


@shows({"a": NUMBER, "b?": {**NUMBER, "default": 9.99}, "c": one_of(NUMBER, NULL)})
def decimals(a: Decimal, c: Decimal | None, b: Decimal = Decimal("9.99")) -> None: ...


@shows({"a": {**NUMBER, "minimum": 0, "maximum": 100}, "b": {**WHOLE, "minimum": 0}})
def limited_decimal_and_bytes(a: Annotated[Decimal, Field(ge=0, le=100)], b: ByteSize) -> None: ...


@shows({"a": {**NUMBER, "minimum": 0, "maximum": 1, "description": "a share"}})
def field_limits(a: Annotated[float, Field(ge=0, le=1, description="a share")]) -> None: ...


@shows({"a": {**TEXT, "minLength": 2, "maxLength": 4, "pattern": "^[A-Z]+$"}})
def field_text(a: Code) -> None: ...


@shows({"a": {**WHOLE, "exclusiveMinimum": 1, "multipleOf": 3}, "b": many(WHOLE, maxItems=2)})
def annotated_type_limits(
    a: Annotated[int, annotated_types.Gt(1), annotated_types.MultipleOf(3)],
    b: Annotated[list[int], annotated_types.MaxLen(2)],
) -> None: ...


# Kinds of functions, and docstrings


@shows({"order_id": TEXT})
def with_the_call(call: ToolContext, order_id: str) -> None: ...


@shows({"lines": many(LINE), "when?": one_of(DAY, NULL, default=None)})
def hints_as_text(lines: "list[Line]", when: "date | None" = None) -> None: ...


class Shop:
    def status(self, order_id: str) -> None:
        """Tell where an order is.

        Args:
            order_id: from the receipt
        """

    @classmethod
    def hours(cls, day: date) -> None: ...


shows({"order_id": {**TEXT, "description": "from the receipt"}})(Shop().status)
shows({"day": DAY})(Shop.hours)


@shows(
    {
        "a": {**TEXT, "description": "on one line"},
        "b": {**WHOLE, "description": "on two lines, the second of which is deeper"},
        "c?": {**many(LINE), "default": [], "description": "with its type"},
    }
)
def described(a: str, b: int, c: Sequence[Line] = ()) -> None:
    """Do it.

    Args:
        a: on one line
        b: on two lines,
            the second of which is deeper
        c (Sequence[Line], optional): with its type
    """


@shows({"a": {**LINE, "description": "what comes"}, "b": {**WHOLE, "description": "from the hint"}})
def described_twice(a: Line, b: Annotated[int, Field(description="from the hint")]) -> None:
    """Do it.

    Args:
        a: what comes
        b: hidden by the hint
    """


each_signature = pytest.mark.parametrize(
    "signature", [pytest.param(each, id=each.function.__name__) for each in SIGNATURES]
)


@each_signature
def test_a_signature_shows_what_is_written_beside_it(signature: Signature) -> None:
    schema = signature.arguments().schema
    assert schema == signature.schema
    jsonschema.Draft202012Validator.check_schema(schema)


def test_postponed_hints_show_the_same() -> None:
    module = "from __future__ import annotations\ndef tool(a: list[Line], b: int = 3) -> None: ..."
    scope = dict(globals())
    exec(module, scope)  # only a module of its own can postpone its hints
    schema = ToolArguments(scope["tool"], "tool()", {}).schema
    assert schema["properties"] == {"a": many(LINE), "b": {**WHOLE, "default": 3}}
