"""How are the rows of an upload kept? The good ones as Parquet, the bad ones as CSV with what is wrong with them.

Row by row they go to files of a folder, so that no table has to fit into memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from serin.contract.metrics import Task
from serin.contract.model import Contract
from serin.data.cells import as_text, is_coded
from serin.data.expect import Outcome, PartFinding
from serin.data.harmless import harmless
from serin.data.raw_table import RawTable
from serin.data.row_keys import hash_table
from serin.profile.profile import FINEST, Categories, Numbers, Profile, profile_categories, profile_numbers

ROWS_AT_ONCE = 10_000
PARTS_BEHIND = 2
COMPRESSION = "snappy"  # as every tool reads it
TABLE, REST, KEYS, REJECTED = "part-0000.parquet", "rest.parquet", "keys.npz", "rejected.csv"
HASHES = "features.u64", "rows.u64"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written of an upload. content: tells its good rows from any others; profile: of these."""

    content: str
    profile: Profile


@dataclass(slots=True)
class RejectedRows:
    """Writes rows that are set aside into `rejected.csv` of a folder."""

    folder: Path
    files: list[tuple[Path, tuple[str, ...]]] = field(default_factory=list)

    def add(self, rows: pd.DataFrame, lines: NDArray[np.int64], why: NDArray[np.object_], place: str) -> None:
        """Write rows as they were, each with its line and why; no spreadsheet runs a cell."""
        names = tuple(map(str, rows.columns))
        if not self.files or self.files[-1][1] != names:  # of JSON Lines a part may have other columns
            self.files.append((self.folder / f"rejected-{len(self.files)}.csv", names))
        with self.files[-1][0].open("ab") as file:
            for start in range(0, len(rows), ROWS_AT_ONCE):
                part = rows.iloc[start : start + ROWS_AT_ONCE].map(harmless)
                part.columns = part.columns.map(harmless)
                part.insert(0, "reason", why[start : start + ROWS_AT_ONCE], allow_duplicates=True)
                part.insert(0, place, lines[start : start + ROWS_AT_ONCE], allow_duplicates=True)
                file.write(part.to_csv(index=False, header=not file.tell(), lineterminator="\n").encode())

    def close(self) -> None:
        paths = [path for path, _ in self.files]
        if len(paths) == 1:
            paths[0].rename(self.folder / REJECTED)
        elif paths:
            frames = [pd.read_csv(path, dtype="str", keep_default_na=False) for path in paths]
            pd.concat(frames).fillna("").to_csv(self.folder / REJECTED, index=False, lineterminator="\n")


@dataclass(slots=True)
class TableWriter:
    """Writes the parts of one upload into a folder."""

    folder: Path
    contract: Contract
    schema: pa.Schema = field(init=False)
    table: pq.ParquetWriter = field(init=False)
    rest: list[pq.ParquetWriter] = field(default_factory=list)
    rejected: RejectedRows = field(init=False)
    profile: Profile | None = None
    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    under_way: list[Future[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.schema = table_schema(self.contract)
        self.table, self.rejected = self._open(TABLE, self.schema), RejectedRows(self.folder)

    def _later(self, work: Callable[[], None]) -> None:
        """Have something written while the next part is looked at."""
        while len(self.under_way) >= PARTS_BEHIND:
            self.under_way.pop(0).result()
        self.under_way.append(self.thread.submit(work))

    def _open(self, name: str, schema: pa.Schema) -> pq.ParquetWriter:
        texts = [column.name for column in schema if column.type == pa.string()]
        return pq.ParquetWriter(self.folder / name, schema, compression=COMPRESSION, use_dictionary=texts)

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.shutdown(cancel_futures=True)
        for writer in (self.table, *self.rest):
            writer.close()  # again where it is closed already, which does nothing

    def add(self, raw: RawTable, finding: PartFinding) -> None:
        """Write the good rows of a part to the table, and the bad ones to those that are set aside."""
        if finding.is_bad.any():
            places = np.flatnonzero(finding.is_bad)
            self.rejected.add(raw.as_written(places), raw.lines[places], finding.why, raw.place)
            good = finding.table[~finding.is_bad]
        else:
            good = finding.table
        if not len(good):
            return
        self._keep(good)
        others = [name for name in map(str, raw.frame.columns) if name not in good.columns]
        if others:
            self._keep_rest(raw.frame.loc[good.index, others])

    def _keep(self, good: pd.DataFrame) -> None:
        self._later(lambda: self.table.write_table(to_arrow(good, self.schema)))
        self.profile = profile_table(good, self.contract, self.profile)
        for name, hashes in zip(HASHES, hash_table(good, self.contract), strict=True):
            with (self.folder / name).open("ab") as file:
                file.write(hashes.tobytes())

    def _keep_rest(self, cells: pd.DataFrame) -> None:
        """Keep what the contract does not read, as text. Of JSON Lines each part may have columns of its own."""
        schema = pa.schema([pa.field(name, pa.string()) for name in cells.columns])
        if not self.rest or self.rest[-1].schema != schema:
            self.rest.append(self._open(f"rest-{len(self.rest)}.parquet", schema))
        writer = self.rest[-1]
        table = pd.DataFrame({name: _as_written(cells[name]) for name in cells})
        self._later(lambda: writer.write_table(to_arrow(table, schema)))

    def close(self, outcome: Outcome, left_out: Collection[str]) -> Written | None:
        """End the files; None where the table is refused. left_out: columns that turned out to hold nothing."""
        self.thread.shutdown()
        for work in self.under_way:
            work.result()
        self.table.close()
        for writer in self.rest:
            writer.close()
        self.rejected.close()
        if outcome.refusals or self.profile is None:
            return None
        self._join_rest(left_out)
        return Written(self._content(), self.profile)

    def _join_rest(self, left_out: Collection[str]) -> None:
        """Put the parts of the rest together, without the columns that turned out to hold nothing."""
        paths = [self.folder / f"rest-{place}.parquet" for place in range(len(self.rest))]
        names = dict.fromkeys(name for path in paths for name in pq.read_schema(path).names if name not in left_out)
        if not names:
            return
        if len(paths) == 1 and len(names) == len(pq.read_schema(paths[0])):
            paths[0].rename(self.folder / REST)
            return
        schema = pa.schema([pa.field(name, pa.string()) for name in names])
        with self._open(REST, schema) as writer:
            for path in paths:
                for batch in pq.ParquetFile(path).iter_batches(batch_size=ROWS_AT_ONCE):
                    nothing = pa.nulls(batch.num_rows, pa.string())
                    columns = [batch.column(name) if name in batch.schema.names else nothing for name in names]
                    writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))

    def _content(self) -> str:
        columns = json.dumps([[column.name, str(column.type)] for column in self.schema])
        digest = hashlib.sha256(columns.encode())
        with (self.folder / HASHES[1]).open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
        return digest.hexdigest()


def table_schema(contract: Contract) -> pa.Schema:
    """The schema of a dataset: what the contract reads, in its order. Docs: docs/data.md."""
    types = {"category": pa.string(), "boolean": pa.bool_()}
    columns = {name: types.get(feature.type, pa.float64()) for name, feature in contract.features.items()}
    columns.setdefault(contract.target, pa.string() if contract.task is Task.CLASSIFICATION else pa.float64())
    if contract.entity is not None:
        columns.setdefault(contract.entity, pa.string())
    if contract.time is not None:
        columns.setdefault(contract.time, pa.timestamp("us", "UTC"))
    return pa.schema([*columns.items()])


def to_arrow(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Give typed columns as the schema has them."""
    columns = []
    for column in schema:
        cells = frame[column.name]
        if column.type == pa.string():
            kind = None if is_coded(cells) else pa.large_string()
            columns.append(pa.array(cells, type=kind).cast(pa.string()))
            continue
        numbers = cells.to_numpy(dtype=np.float64)
        missing = np.isnan(numbers)
        if pa.types.is_timestamp(column.type):
            moments = np.where(missing, 0, np.round(np.where(missing, 0, numbers) * 1e6)).astype(np.int64)
            columns.append(pa.array(moments, mask=missing).cast(column.type))
        elif pa.types.is_boolean(column.type):
            columns.append(pa.array(numbers == 1, mask=missing))
        else:
            columns.append(pa.array(numbers, mask=missing) if missing.any() else pa.array(numbers))
    return pa.Table.from_arrays(columns, schema=schema)


def _as_written(cells: pd.Series) -> pd.Series:
    return cells if is_coded(cells) else as_text(cells)


def profile_table(table: pd.DataFrame, contract: Contract, before: Profile | None = None) -> Profile:
    """Summarise a typed table, or a part of one, and add it to the summary of the parts before.

    An entity is left out: a profile must not name persons.
    """
    columns: dict[str, Numbers | Categories] = {}
    for name in map(str, table.columns):
        if name in contract.features or name != contract.entity:
            cells = table[name]
            if pd.api.types.is_numeric_dtype(cells.dtype):
                known = before.columns[name] if before else None
                finest = known.fineness if isinstance(known, Numbers) else FINEST
                columns[name] = profile_numbers(cells.to_numpy(dtype=np.float64), finest)
            else:
                codes, distinct = pd.factorize(cells)
                counts = np.bincount(codes[codes >= 0], minlength=len(distinct)).tolist()
                columns[name] = profile_categories(dict(zip(map(str, distinct), counts, strict=True)), len(cells))
    part = Profile(len(table), columns)
    return part if before is None else before + part
