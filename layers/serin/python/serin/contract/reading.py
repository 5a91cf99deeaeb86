"""How are the columns of a table written? Decimal commas, units, signs for missing, dates, encodings."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from pydantic import Field, field_validator, model_validator

from serin.contract.keys_and_defaults import Section
from serin.contract.notation import Notation
from serin.contract.quantities import Text

_UNIT = re.compile(r"[^0-9.,+()-][^.,+()-]*")
_DATES = re.compile(r"(?=.*%[dj])(?=.*%[mbBj])(?=.*%[yY])(?:%[dmbByYjHIMSfpzZaA]|[^%A-Za-z0-9]|T)+")


class Reading(Section):
    """How a column is written, if not 12.5 or 2024-05-31. What is left out is as the table's, or as usual."""

    decimal: Literal[".", ","] | None = Field(None, description="what stands before the fraction; usually a point")
    thousands: Literal["", ",", ".", " ", "'"] | None = Field(
        None, description="what may stand between groups of digits; usually nothing"
    )
    units: tuple[Text, ...] | None = Field(
        None, description="what may stand before or behind a number and is left out, such as $ or kg"
    )
    accounting: bool | None = Field(None, description="whether (5) and 5- are -5")
    missing: tuple[Text, ...] | None = Field(
        None, description="what says that nothing is known, beside the usual NA, null and the like"
    )
    dates: str | None = Field(
        None, description="how times are written, in the terms of strptime: %d.%m.%Y; ISO 8601 is read beside it"
    )

    @model_validator(mode="after")
    def _can_be_read(self) -> Reading:
        if self.decimal is not None and self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}")
        for unit in self.units or ():
            if not _UNIT.fullmatch(unit.strip()):
                raise ValueError(f"{unit!r} is no unit: it begins with a digit, holds a sign of numbers, or is empty")
        if self.dates is not None and not _DATES.fullmatch(self.dates):
            raise ValueError("write dates in the terms of strptime, with day, month and year: %d.%m.%Y")
        return self


class Read(Reading):
    """How tables are written: uploads, batches and CSV over HTTP alike."""

    encoding: str = Field("utf-8", description="of CSV in files; over HTTP it is always UTF-8")
    names: tuple[Text, ...] | None = Field(
        None, description="the columns of a file whose first row is data; one that begins with these names is read too"
    )
    columns: dict[str, Reading] = Field({}, description="columns that are written otherwise than the rest")

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str) -> str:
        try:
            b"".decode(encoding)
        except LookupError:
            message = f"{encoding!r} is no encoding of text; write one like utf-8, cp1252, latin-1 or utf-16"
            raise ValueError(message) from None
        return encoding

    def of(self, column: str) -> Notation:
        """Tell how a column is written."""
        own = self.columns.get(column, Reading())
        usual = self.model_dump(include={*Reading.model_fields}, exclude_none=True)
        notation = Notation(**{**usual, **own.model_dump(exclude_none=True)})
        return replace(
            notation,
            units=tuple(unit.strip() for unit in notation.units),
            missing=tuple(spelling.strip().lower() for spelling in notation.missing),
        )
