"""Where does a row stand in every split? Its key, given once when it comes in, and kept beside the table.

The key is a hash of the row's features and of how often the same features occurred before in its upload. A row that is
sent again keeps its key, in whatever file and order: it is known by all that is read of it, and where something of that
was corrected by its features. So it falls on the same side, and rows that are naturally alike, as in a table of a few
categories, split freely. Where rows are repeated as no table repeats them by itself, the copies stay together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.model import Contract
from serin.data.border import Keys, dump_keys, hash_text, load_keys, mix

MOST_COUNTED = 12  # how often a row occurs, beyond which nobody looks whether that is natural
SURE = 3.0  # standard errors


@dataclass(frozen=True, slots=True)
class Beside:
    """What is kept beside a table, for each of its rows.

    keys: their places in every split. names: hashes of their features and of how often those occurred before in the
    upload. rows: hashes of all that is read of them. columns: a hash of the names of what was hashed.
    """

    keys: Keys
    names: Keys
    rows: Keys
    columns: int

    def to_bytes(self) -> bytes:
        columns = np.array([self.columns], dtype=np.uint64)
        return dump_keys(keys=self.keys, names=self.names, rows=self.rows, columns=columns)

    @classmethod
    def from_bytes(cls, content: bytes) -> Beside:
        found = load_keys(content)
        return cls(found["keys"], found["names"], found["rows"], int(found["columns"][0]))


@dataclass(frozen=True, slots=True)
class Earlier:
    """What is beside a dataset that came before. features: those of the contract that it has; names are of these."""

    beside: Beside
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repeats:
    """How many rows of an upload repeat others, of it or of those before.

    count: rows that were there already, or come again within the upload. unnatural: how many of them are more than the
    table would repeat by itself.
    """

    count: int
    unnatural: int


def columns_hash(contract: Contract) -> int:
    """Hash which columns `place_rows` reads, and as what: hashes of others cannot be compared with its own."""
    features = [f"{name}\t{feature.is_numeric}" for name, feature in contract.features.items()]
    return hash_text("\n".join([*sorted(features), "", contract.task, *sorted(_others(contract))]))


def place_rows(
    table: pd.DataFrame, contract: Contract, earlier: Sequence[Earlier] = (), known: Sequence[Beside] = ()
) -> tuple[Beside, Repeats]:
    """Give the rows of a typed table their keys, and count which of them repeat others.

    earlier: of all datasets before, the oldest first. known: those whose rows count as known, hashed by the same
    columns.
    """
    features = row_hashes(table, list(contract.features))
    rows = mix(features + row_hashes(table, _others(contract)))
    repeats = count_repeats(rows, [each.rows for each in known])
    names = content_keys(features)
    keys = _originals(features, []) if repeats.unnatural else names
    read = columns_hash(contract)
    whole = [(content_keys(each.beside.rows), each.beside.keys) for each in earlier if each.beside.columns == read]
    # Rows that came without a feature are told by the others, better by all of them, and best by all that is read.
    groups = sorted({each.features for each in earlier}, key=lambda group: (len(group), group))
    told = [(row_hashes(table, group), _named_by(group, earlier)) for group in groups]
    for hashes, before in (*told, (rows, whole)):
        found = _originals(hashes, [each[0] for each in before]) if repeats.unnatural else content_keys(hashes)
        keys = inherit_keys(found, keys, before)
    return Beside(keys, names, rows, read), repeats


def keys_by_row(table: pd.DataFrame) -> Keys:
    """Make keys for the rows of a dataset that was stored without any, by all of its columns."""
    rows = row_hashes(table, list(table.columns))
    return _originals(rows, []) if count_repeats(rows, ()).unnatural else content_keys(rows)


def _named_by(group: tuple[str, ...], earlier: Sequence[Earlier]) -> list[tuple[Keys, Keys]]:
    return [(each.beside.names, each.beside.keys) for each in earlier if each.features == group]


def _others(contract: Contract) -> list[str]:
    names = (contract.target, contract.entity, contract.time)
    return list(dict.fromkeys(name for name in names if name and name not in contract.features))


def content_keys(hashes: Keys) -> Keys:
    """Name rows by hashes, such as of their features, and by how many equal ones stand before each."""
    return _named(hashes, occurrences(hashes))


def _named(features: Keys, occurrence: NDArray[np.int64]) -> Keys:
    return mix(features + mix(occurrence.astype(np.uint64)))


def _originals(features: Keys, earlier: Sequence[Keys]) -> Keys:
    """Name the row that each is a copy of: those that came before in turn, else the first of the upload."""
    is_known = np.isin(content_keys(features), np.concatenate([np.empty(0, dtype=np.uint64), *earlier]))
    known = np.asarray(pd.Series(is_known).groupby(features).transform("sum"), dtype=np.int64)
    return _named(features, occurrences(features) % np.maximum(known, 1))


def inherit_keys(names: Keys, keys: Keys, earlier: Sequence[tuple[Keys, Keys]]) -> Keys:
    """Give rows that came before the keys that they had, so that none is ever on two sides.

    names: of the new rows. keys: those that they get where they are new. earlier: names and keys of each upload before,
    the oldest first; a row that came more than once has the key of its first time.
    """
    if not earlier:
        return keys
    known, first = np.unique(np.concatenate([each[0] for each in earlier]), return_index=True)
    old = np.concatenate([each[1] for each in earlier])[first]
    place = np.minimum(np.searchsorted(known, names), len(known) - 1)
    return np.where(known[place] == names, old[place], keys)


def occurrences(hashes: Keys) -> NDArray[np.int64]:
    """Count for each row how many equal ones stand before it."""
    return np.asarray(pd.Series(hashes).groupby(hashes).cumcount(), dtype=np.int64)


def row_hashes(frame: pd.DataFrame, columns: Collection[str]) -> Keys:
    """Hash each row's values in `columns`, whatever their order; the same values give the same hash on any machine."""
    total = np.zeros(len(frame), dtype=np.uint64)
    for name in columns:
        salt = np.uint64(hash_text(name))
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column.dtype):
            numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
            bits = np.where(np.isnan(numbers), np.nan, numbers + 0.0).view(np.uint64)  # + 0.0 makes -0.0 one with 0.0
        else:
            codes, distinct = pd.factorize(column)
            hashes = np.array([*(hash_text(str(value)) for value in distinct), 0], dtype=np.uint64)
            bits = hashes[codes]
        total += mix(bits ^ salt)
    return mix(total)


def count_repeats(rows: Keys, earlier: Sequence[Keys]) -> Repeats:
    """Count the repeats of an upload. rows: hashes of whole rows, the target too. earlier: of each upload before."""
    if not earlier:
        return Repeats(int(len(rows) - len(np.unique(rows))), _unnatural_within(rows))
    before, counts = np.unique(np.concatenate(list(earlier)), return_counts=True)
    distinct = np.unique(rows)
    count = len(rows) - int((~np.isin(distinct, before)).sum())
    expected, error = _natural_repeats(len(rows), counts)
    excess = count - expected
    return Repeats(count, round(excess) if excess > SURE * error else _unnatural_within(rows))


def _natural_repeats(rows: int, counts: NDArray[np.int64]) -> tuple[float, float]:
    """Foretell how many of so many new rows repeat others, with the standard error of that.

    counts: how often each row occurred before. Of more new rows than there were before, the rest is foretold like as
    many. Source: Good and Toulmin, The Number of New Species (1956), their series, which holds up to as many rows
    again.
    """
    before = int(counts.sum())
    share = min(rows / before, 1.0)
    often = np.bincount(np.minimum(counts, 60))[1:].astype(np.float64)
    powers = share ** np.arange(1, len(often) + 1)
    signs = np.where(np.arange(len(often)) % 2 == 0, 1.0, -1.0)
    new = float((signs * powers * often).sum())
    error = float(np.sqrt((powers**2 * often).sum())) + 1.0
    scale = rows / (share * before)
    return max(rows - new * scale, 0.0), error * scale


def _unnatural_within(rows: Keys) -> int:
    """Count repeats within a table that it would not have by itself: as many rows twice need some once, and thrice.

    Rows that occur at random, however unevenly, occur n times so often that n! f(n) are moments; and of moments the
    square of one is at most the product of its neighbours (Cauchy and Schwarz).
    """
    often = np.bincount(np.unique(rows, return_counts=True)[1], minlength=MOST_COUNTED + 2).astype(np.float64)
    unnatural = 0
    for times in range(2, MOST_COUNTED + 1):
        usual = np.sqrt(often[times - 1] * often[times + 1] * (times + 1) / times)
        if often[times] - usual > SURE * np.sqrt(often[times] + usual + 1):
            unnatural += round(often[times] - usual) * (times - 1)
    return unnatural
