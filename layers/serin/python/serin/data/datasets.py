"""What is in the datasets of a model, as a contract reads them? Their rows typed, with their places in every split.

A contract may have been edited since a dataset came: another column is read, or one is read as another type. What the
contract of then did not read was kept beside the table as text.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.keys_and_defaults import FeatureType
from serin.contract.metrics import Task
from serin.contract.model import Contract
from serin.contract.notation import Notation
from serin.data.border import Keys, Mask
from serin.data.cells import (
    as_text,
    is_text,
    parse_booleans,
    parse_categories,
    parse_numbers,
    parse_times,
    without_points,
)
from serin.data.learnable import MOST_ROWS
from serin.data.row_keys import Beside, Earlier, HashedFrame, columns_hash, keys_by_row, place_rows
from serin.data.storage import as_columns, load_last, load_names, load_table
from serin.errors import NotFound, Refused, Unverified
from serin.registry.ids import sha256
from serin.registry.keys import dataset_prefix
from serin.registry.ports import Objects
from serin.registry.records import Dataset
from serin.serving.rows.encode import MAX_MAGNITUDE


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of several datasets, in their order.

    frame: typed columns, as the contract reads them. keys: by content. dataset: of each row the place of its dataset in
    `names`; place: its own in that. left_out: what could not be read, and why.
    """

    frame: pd.DataFrame
    keys: Keys
    dataset: NDArray[np.int64]
    place: NDArray[np.int64]
    names: tuple[str, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DatasetFiles:
    """Reads what is stored of a model's datasets. Everything is checked against its digest."""

    data: Objects
    model: str

    def read(self, datasets: Sequence[Dataset], contract: Contract, *, lenient: bool = False) -> Rows:
        """Read datasets as the contract does. lenient: what is not there is missing, but for the target.

        Raises Refused where none fits the contract.
        """
        frames, keys, numbers, places, left_out = [], [], [], [], []
        for number, dataset in enumerate(datasets):
            frame, is_bad, misfit = self._typed(dataset, contract, lenient=lenient)
            if not misfit and is_bad.mean() > contract.data.max_bad_rows:
                misfit = f"{int(is_bad.sum()):,} of its {len(is_bad):,} rows do not fit the contract any more"
            if misfit:
                left_out.append(f"dataset {dataset.id} is left out: {misfit}")
                continue
            good = np.flatnonzero(~is_bad)
            frames.append(frame.iloc[good])
            keys.append(self.keys(dataset)[good])
            numbers.append(np.full(len(good), number))
            places.append(good)
        if not frames:
            raise Refused(
                f"no dataset of {self.model} fits its contract any more: {left_out[-1]}; upload the rows again",
                code="NO_DATA",
            )
        return Rows(
            frame=pd.concat(frames, ignore_index=True),
            keys=np.concatenate(keys),
            dataset=np.concatenate(numbers),
            place=np.concatenate(places),
            names=tuple(dataset.id for dataset in datasets),
            left_out=tuple(left_out),
        )

    def keys(self, dataset: Dataset) -> Keys:
        """The keys of a dataset's rows.

        Of one from before there were any, by all that was read of each row: so that one which came in two of them, in
        whatever order, has the same key in both.
        """
        if name := dataset.file("keys"):
            return Beside.from_bytes(self._file(dataset, name)).keys
        return keys_by_row(load_table(self._file(dataset, dataset.table)))

    def beside(self, dataset: Dataset, contract: Contract) -> Earlier | None:
        """What is beside a dataset's rows, by those features of the contract that it has; None where it has none.

        Where the contract was edited since, only of the rows that still fit it.
        """
        if name := dataset.file("keys"):
            stored = Beside.from_bytes(self._file(dataset, name))
            if stored.columns == columns_hash(contract):
                return Earlier(stored, tuple(contract.features))
        there = self._columns(dataset)
        contract = _only_with(contract, there)
        frame, is_bad, misfit = self._typed(dataset, contract)
        if misfit or not contract.features or is_bad.all():
            return None
        good = np.flatnonzero(~is_bad)
        hashed, _ = place_rows(HashedFrame.of(frame.iloc[good], contract), contract)
        beside = Beside(self.keys(dataset)[good], hashed.names, hashed.rows, hashed.columns)
        return Earlier(beside, tuple(contract.features))

    def last_rows(self, datasets: Sequence[Dataset], contract: Contract) -> Mapping[str, NDArray[Any]] | None:
        """The features and the target of the last MOST_ROWS before, in their order; None where there are none."""
        used = [*contract.features, contract.target]
        frames: list[pd.DataFrame] = []
        for dataset in reversed(datasets):
            frame, is_bad, misfit = self._typed(dataset, contract, lenient=True, last=2 * MOST_ROWS)
            if not misfit:
                frames.append(frame.loc[~is_bad, used].tail(MOST_ROWS))
            if sum(map(len, frames)) >= MOST_ROWS:
                break
        if not frames:
            return None
        return as_columns(pd.concat(frames[::-1], ignore_index=True).tail(MOST_ROWS), *used)

    def _typed(
        self, dataset: Dataset, contract: Contract, *, lenient: bool = False, last: int | None = None
    ) -> tuple[pd.DataFrame, Mask, str]:
        """A dataset's columns as the contract reads them, which rows break it, and why it cannot be read, or ''.

        last: how many of its last rows; all, where left out.
        """
        table = self._load(dataset, dataset.table, last)
        rest = dataset.file("rest")
        other: pd.DataFrame | None = None
        is_bad = np.zeros(len(table), dtype=bool)
        columns: dict[str, Any] = {}
        for name, kind, listed, notation, is_needed in _wanted(contract, lenient=lenient):
            if name in table.columns:
                cells = table[name]
            else:
                if other is None:
                    other = self._load(dataset, rest, last) if rest else pd.DataFrame(index=table.index)
                if name not in other.columns:
                    if is_needed:
                        return table, is_bad, f"it has no column {name}"
                    columns[name] = _absent(kind, len(table))
                    continue
                cells = other[name]
            columns[name], is_wrong, is_missing = _read(cells, kind, listed, notation, is_typed=name in table.columns)
            is_bad |= is_wrong if not is_needed else is_wrong | is_missing
        if contract.classes is not None:
            is_bad |= ~columns[contract.target].isin(list(contract.classes)).to_numpy()
        return pd.DataFrame(columns), is_bad, ""

    def _load(self, dataset: Dataset, name: str, last: int | None) -> pd.DataFrame:
        with TemporaryDirectory() as folder:
            path = Path(folder) / name
            if self.data.fetch(dataset_prefix(self.model, dataset.id) + name, None, path) != dataset.files[name]:
                raise _other_digest(dataset, name)
            table = load_last(path, last)
        return table if last is None else table.tail(last).reset_index(drop=True)

    def _columns(self, dataset: Dataset) -> set[str]:
        files = (dataset.table, dataset.file("rest"))
        return {column for name in files if name for column in load_names(self._file(dataset, name))}

    def _file(self, dataset: Dataset, name: str) -> bytes:
        content = self.data.get(dataset_prefix(self.model, dataset.id) + name)
        if sha256(content) != dataset.files[name]:
            raise _other_digest(dataset, name)
        return content


def _other_digest(dataset: Dataset, name: str) -> Unverified:
    return Unverified(f"{name} of dataset {dataset.id} does not have the digest that was registered")


def _only_with(contract: Contract, columns: Collection[str]) -> Contract:
    """The contract without those features, entity and time that are not among the columns."""
    features = {name: feature for name, feature in contract.features.items() if name in columns}
    roles = {role: name if (name := getattr(contract, role)) in columns else None for role in ("entity", "time")}
    return contract.model_copy(update={"features": features, **roles})


def reads_alike(one: Contract, other: Contract) -> bool:
    """Tell whether two contracts read the same rows of a dataset as the same values."""
    are_wanted_alike = _wanted(one, lenient=False) == _wanted(other, lenient=False)
    return are_wanted_alike and one.data.max_bad_rows == other.data.max_bad_rows


def find_datasets(datasets: Sequence[Dataset], names: Sequence[str], model: str) -> list[Dataset]:
    """Find datasets by name, in the order of the names. Raises NotFound."""
    by_name = {dataset.id: dataset for dataset in datasets}
    for name in names:
        if name not in by_name:
            raise NotFound(f"{model} has no dataset {name}")
    return [by_name[name] for name in names]


def _wanted(contract: Contract, *, lenient: bool) -> list[tuple[str, str, tuple[str, ...], Notation, bool]]:
    """The columns that the contract reads: type, categories listed, notation, and whether it must be filled."""
    wanted = {
        name: (str(feature.type), feature.values or (), not (lenient or feature.allows_missing))
        for name, feature in contract.features.items()
    }
    target = FeatureType.CATEGORY if contract.task is Task.CLASSIFICATION else FeatureType.NUMBER
    wanted[contract.target] = (str(target), contract.classes or (), True)
    for name, kind in ((contract.entity, str(FeatureType.CATEGORY)), (contract.time, "time")):
        if name is not None and name not in wanted:
            wanted[name] = (kind, (), not lenient)
    return [(name, kind, listed, contract.read.of(name), needed) for name, (kind, listed, needed) in wanted.items()]


def _read(
    cells: pd.Series, kind: str, listed: Collection[str], notation: Notation, *, is_typed: bool
) -> tuple[Any, Mask, Mask]:
    """Read cells as a type: the values, which are wrong, and which are missing. is_typed: they were read before."""
    if kind == FeatureType.CATEGORY:
        if is_typed and is_text(cells):  # what was a category then, though it be NA, is one
            return without_points(cells, listed), np.zeros(len(cells), dtype=bool), cells.isna().to_numpy()
        values, missing = parse_categories(as_text(cells), listed, notation)
        return values.astype("str"), np.zeros(len(cells), dtype=bool), missing
    if kind == "time":
        if is_typed and pd.api.types.is_numeric_dtype(cells.dtype):
            seconds = cells.to_numpy(dtype=np.float64)  # since 1970 already, but where it was read as a number then
            read = parse_times(cells).values
            seconds = np.where(np.isnan(read), seconds, read)
            return seconds, np.zeros(len(cells), dtype=bool), np.isnan(seconds)
        parsed = parse_times(cells, notation)
    elif kind == FeatureType.BOOLEAN:
        parsed = parse_booleans(cells, notation)
    else:
        parsed = parse_numbers(cells, notation)
        return parsed.values, parsed.wrong | (np.abs(parsed.values) > MAX_MAGNITUDE), parsed.missing
    return parsed.values, parsed.wrong, parsed.missing


def _absent(kind: str, rows: int) -> Any:
    if kind == FeatureType.CATEGORY:
        return pd.Series([None] * rows, dtype="str")
    return np.full(rows, np.nan)
