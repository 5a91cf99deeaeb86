"""Where does a row stand in every split? Its key, given once when it comes in, and kept beside the table.

The key is a hash of the row's features and of how often the same features occurred before in its upload. So a file that
is sent again falls on the same sides, and rows that are naturally alike, as in a table of a few categories, split
freely. Where rows are repeated as no table repeats them by itself, the copies stay together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from serin.contract.model import Contract
from serin.data.border import ALL, Keys, Mask, hash_text, load_keys, mix, write_keys

MOST_KNOWN = 2_000_000  # rows before, of which it is counted how often they occur; more tell hardly more
MOST_COUNTED = 12  # how often a row occurs, beyond which nobody looks whether that is natural
SURE = 3.0  # standard errors
ROWS_AT_ONCE = 1 << 20
FEW_REPEATS = 0.01  # of the rows
MANY_REPEATS = 0.3  # of the rows; of fewer nobody asks whether they are copies
LEAST_REPEATED = 100  # rows that come more than once; fewer may be all that there are
MOSTLY = 0.98
MANY_KINDS = 0.4  # times as many as there are repeated rows; of independent halves both have rarely a third


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

    def write(self, path: Path) -> None:
        columns = np.array([self.columns], dtype=np.uint64)
        write_keys(path, keys=self.keys, names=self.names, rows=self.rows, columns=columns)

    @classmethod
    def from_bytes(cls, content: bytes) -> Beside:
        arrays = load_keys(content)
        return cls(arrays["keys"], arrays["names"], arrays["rows"], int(arrays["columns"][0]))


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
    return hash_text("\n".join([*sorted(features), "", contract.task, *sorted(other_columns(contract))]))


class Hashed(Protocol):
    """A typed table as `place_rows` sees it.

    features, rows: hashes of each row's features, and of all that is read of it.
    """

    @property
    def features(self) -> Keys: ...

    @property
    def rows(self) -> Keys: ...

    def hash_rows(self, columns: Sequence[str]) -> Keys:
        """Hash each row's values in these columns."""

    def take(self, places: NDArray[np.int64]) -> pd.DataFrame:
        """Give some rows."""


@dataclass(frozen=True, slots=True)
class HashedFrame:
    """A table in memory, hashed."""

    frame: pd.DataFrame
    features: Keys
    rows: Keys

    @classmethod
    def of(cls, frame: pd.DataFrame, contract: Contract) -> HashedFrame:
        features, rows = hash_table(frame, contract)
        return cls(frame, features, rows)

    def hash_rows(self, columns: Sequence[str]) -> Keys:
        return row_hashes(self.frame, columns)

    def take(self, places: NDArray[np.int64]) -> pd.DataFrame:
        return self.frame.iloc[places]


def hash_table(frame: pd.DataFrame, contract: Contract) -> tuple[Keys, Keys]:
    """Hash of each row its features, and all that is read of it."""
    features = row_hashes(frame, list(contract.features))
    return features, mix(features + row_hashes(frame, other_columns(contract)))


def place_rows(
    table: Hashed, contract: Contract, earlier: Iterable[tuple[Earlier, bool]] = ()
) -> tuple[Beside, Repeats]:
    """Give the rows of a typed table their keys, and count which of them repeat others.

    earlier: of all datasets before, the oldest first, and whether their rows count as known; each is looked at once, so
    that one is in memory at a time.
    """
    features, rows, read = table.features, table.rows, columns_hash(contract)
    known, whole = Known.none(rows), None
    inherited: dict[tuple[str, ...], Inherited] = {}
    for before, is_known in earlier:
        if before.features not in inherited:
            hashes = features if before.features == tuple(contract.features) else table.hash_rows(before.features)
            inherited[before.features] = Inherited.none(hashes)
        inherited[before.features].look(before.beside.names, before.beside.keys)
        if before.beside.columns == read:
            whole = whole or Inherited.none(rows)
            whole.look(content_keys(before.beside.rows), before.beside.keys)
            if is_known:
                known.look(before.beside.rows)
    repeats = known.count_repeats(rows)
    if not known.rows and repeats.count > repeats.unnatural and _is_copied(table, contract):
        repeats = Repeats(repeats.count, repeats.count)
    names, are_copies = content_keys(features), repeats.unnatural > 0
    keys = _named(features, np.zeros(len(features), dtype=np.int64)) if are_copies else names
    # Rows that came without a feature are told by the others, better by all of them, and best by all that is read.
    for group in sorted(inherited, key=lambda group: (len(group), group)):
        keys = inherited[group].or_else(keys, are_copies=are_copies)
    return Beside(whole.or_else(keys, are_copies=are_copies) if whole else keys, names, rows, read), repeats


def keys_by_row(table: pd.DataFrame) -> Keys:
    """Make keys for the rows of a dataset that was stored without any, by all of its columns."""
    rows = row_hashes(table, list(table.columns))
    are_copies = count_repeats(rows, ()).unnatural > 0
    return _named(rows, np.zeros(len(rows), dtype=np.int64)) if are_copies else content_keys(rows)


def other_columns(contract: Contract) -> list[str]:
    names = (contract.target, contract.entity, contract.time)
    return list(dict.fromkeys(name for name in names if name and name not in contract.features))


def content_keys(hashes: Keys) -> Keys:
    """Name rows by their hashes and by how many equal ones stand before each."""
    return _named(hashes, occurrences(hashes))


def _named(hashes: Keys, occurrence: NDArray[np.int64]) -> Keys:
    names = np.empty_like(hashes)
    for part in _slices(len(hashes)):  # so that what comes in between is small
        names[part] = mix(hashes[part] + mix(occurrence[part].astype(np.uint64)))
    return names


def _slices(rows: int) -> Iterator[slice]:
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, rows, ROWS_AT_ONCE))


@dataclass(slots=True)
class Inherited:
    """The keys that new rows had when they came before, so that none is ever on two sides. Of many, the oldest.

    hashes: of the new rows, in their order. names: of them, sorted. keys, is_found: of each of `names`.
    """

    hashes: Keys
    names: Keys
    keys: Keys
    is_found: Mask

    @classmethod
    def none(cls, hashes: Keys) -> Inherited:
        names = np.sort(content_keys(hashes))
        return cls(hashes, names, np.zeros_like(names), np.zeros(len(names), dtype=bool))

    def look(self, names: Keys, keys: Keys) -> None:
        """Look for the new rows among those of a dataset before."""
        place = np.minimum(np.searchsorted(self.names, names), len(self.names) - 1)
        matches = np.flatnonzero((self.names[place] == names) & ~self.is_found[place])
        self.keys[place[matches]] = keys[matches]
        self.is_found[place[matches]] = True

    def or_else(self, keys: Keys, *, are_copies: bool) -> Keys:
        """Give each row the key that it had, or else this one. are_copies: equal rows share the keys that they had."""
        nth = occurrences(self.hashes)
        if are_copies:
            is_known = self.is_found[np.searchsorted(self.names, _named(self.hashes, nth))]
            known = np.asarray(pd.Series(is_known).groupby(self.hashes).transform("sum"), dtype=np.int64)
            nth = nth % np.maximum(known, 1)
        place = np.searchsorted(self.names, _named(self.hashes, nth))
        return np.where(self.is_found[place], self.keys[place], keys)


@dataclass(slots=True)
class Known:
    """What is known of the rows before, as far as new ones ask.

    distinct: of the new rows, sorted; is_there: which of them came before. rows: how many came before. below, often: of
    the rows before, those whose hash is below, and how often each occurred in each dataset: all of them, or as many
    as tell the rest.
    """

    distinct: Keys
    is_there: Mask
    rows: int = 0
    below: int = ALL
    often: list[tuple[Keys, NDArray[np.int64]]] = field(default_factory=list)

    @classmethod
    def none(cls, rows: Keys) -> Known:
        distinct = _distinct(rows)
        return cls(distinct, np.zeros(len(distinct), dtype=bool))

    def look(self, rows: Keys) -> None:
        """Take the rows of a dataset before as known."""
        known, counts = np.unique(rows, return_counts=True)
        place = np.minimum(np.searchsorted(known, self.distinct), len(known) - 1)
        self.is_there |= known[place] == self.distinct
        self.rows += len(rows)
        self.often.append(self._cut(known, counts))
        while sum(len(names) for names, _ in self.often) > MOST_KNOWN:
            self.below //= 2
            self.often = [self._cut(hashes, times) for hashes, times in self.often]

    def _cut(self, names: Keys, counts: NDArray[np.int64]) -> tuple[Keys, NDArray[np.int64]]:
        end = int(np.searchsorted(names, np.uint64(min(self.below, ALL - 1))))
        return names[:end].copy(), counts[:end].copy()

    def count_repeats(self, rows: Keys) -> Repeats:
        """Count the repeats among the new rows, which `none` was given."""
        count = len(rows) - int((~self.is_there).sum())
        if not self.rows:
            return Repeats(len(rows) - len(self.distinct), _unnatural_within(rows))
        names, place = np.unique(np.concatenate([known for known, _ in self.often]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([counts for _, counts in self.often]), minlength=len(names))
        expected, error = _natural_repeats(len(rows), self.rows, counts, self.below / ALL)
        excess = count - expected
        return Repeats(count, round(excess) if excess > SURE * error else _unnatural_within(rows))


def occurrences(hashes: Keys) -> NDArray[np.int64]:
    """Count for each row how many equal ones stand before it. As a rule few have one: only these are looked at."""
    repeated = np.concatenate([distinct[counts > 1] for distinct, counts in _counted(hashes)])
    count = np.zeros(len(hashes), dtype=np.int64)
    if len(repeated):
        places, which = [], []
        for part in _slices(len(hashes)):
            place = np.minimum(np.searchsorted(repeated, hashes[part]), len(repeated) - 1)
            some = np.flatnonzero(repeated[place] == hashes[part])
            places.append(some + part.start)
            which.append(place[some])
        count[np.concatenate(places)] = pd.Series(np.concatenate(which)).groupby(np.concatenate(which)).cumcount()
    return count


def _counted(hashes: Keys) -> Iterator[tuple[Keys, NDArray[np.int64]]]:
    """Count how often each hash occurs, in their order; a sixteenth of them at a time, so that little is sorted."""
    first_bits = np.empty(len(hashes), dtype=np.uint8)
    for part in _slices(len(hashes)):
        first_bits[part] = hashes[part] >> np.uint64(60)
    for bits in range(16):
        yield np.unique(hashes[first_bits == bits], return_counts=True)


def row_hashes(frame: pd.DataFrame, columns: Collection[str]) -> Keys:
    """Hash each row's values in `columns`, whatever their order; the same values give the same hash on any machine."""
    total = np.zeros(len(frame), dtype=np.uint64)
    for name in columns:
        salt = np.uint64(hash_text(name))
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column.dtype):
            numbers = column.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # makes -0.0 one with 0.0
            if (is_missing := np.isnan(numbers)).any():
                numbers[is_missing] = np.nan  # of which there are many
            bits = numbers.view(np.uint64)
        else:
            codes, distinct = pd.factorize(column)
            hashes = np.array([*(hash_text(str(value)) for value in distinct), 0], dtype=np.uint64)
            bits = hashes[codes]
        total += mix(bits ^ salt)
    return mix(total)


def count_repeats(rows: Keys, earlier: Sequence[Keys]) -> Repeats:
    """Count the repeats of an upload. rows: hashes of whole rows, the target too. earlier: of each upload before."""
    known = Known.none(rows)
    for upload in earlier:
        known.look(upload)
    return known.count_repeats(rows)


def _natural_repeats(rows: int, before: int, counts: NDArray[Any], share: float) -> tuple[float, float]:
    """Foretell how many of so many new rows repeat others, with the standard error of that.

    before: how many rows came; counts: of a share of them, how often each occurred. Of more new rows than there were
    before, the rest is foretold like as many where hardly any row repeated another; else nobody knows how many kinds
    are left, and the rest may all be repeats. Source: Good and Toulmin, The Number of New Species (1956), their series,
    which holds up to as many rows again.
    """
    times = min(rows / before, 1.0)
    often = np.bincount(np.minimum(counts, 60).astype(np.int64), minlength=2)[1:].astype(np.float64)
    powers = times ** np.arange(1, len(often) + 1)
    signs = np.where(np.arange(len(often)) % 2 == 0, 1.0, -1.0)
    new = float((signs * powers * often).sum()) / share
    error = float(np.sqrt((powers**2 * often).sum())) / share + 1.0
    are_all_different = often[0] / share > (1 - FEW_REPEATS) * before
    scale = rows / (times * before) if are_all_different else 1.0
    return max(rows - new * scale, 0.0), error * scale


def _unnatural_within(rows: Keys) -> int:
    """Count repeats within a table that it would not have by itself: as many rows twice need some once, and thrice.

    Rows that occur at random, however unevenly, occur n times so often that n! f(n) are moments; and of moments the
    square of one is at most the product of its neighbours (Cauchy and Schwarz).
    """
    often = np.zeros(MOST_COUNTED + 2)
    for _, counts in _counted(rows):
        often += np.bincount(np.minimum(counts, MOST_COUNTED + 2), minlength=MOST_COUNTED + 3)[:-1]
    unnatural = 0
    for times in range(2, MOST_COUNTED + 1):
        more = often[times + 1] + SURE * np.sqrt(often[times + 1] + 1)  # for one that is rare may be missing by chance
        usual = np.sqrt(often[times - 1] * more * (times + 1) / times)
        if often[times] - usual > SURE * np.sqrt(often[times] + usual + 1):
            unnatural += round(often[times] - usual) * (times - 1)
    return unnatural


def _is_copied(table: Hashed, contract: Contract) -> bool:
    """Tell whether the many repeats of a table can only be copies, however evenly they were drawn.

    So it is where either half of the features tells the repeated rows apart: rows that came by themselves would meet
    in one half and differ in the other. But where rows of the same features differ in the target, features come again
    by themselves, as those of products do that are sold often.
    """
    features, rows = table.features, table.rows
    distinct, first, counts = np.unique(rows, return_index=True, return_counts=True)
    repeated = first[counts > 1]
    if len(rows) - len(distinct) < MANY_REPEATS * len(rows) or len(repeated) < LEAST_REPEATED:
        return False
    if len(_distinct(features)) < MOSTLY * len(distinct):
        return False
    some = table.take(repeated)
    by_values = sorted(contract.features, key=lambda name: len(_distinct(row_hashes(some, [name]))), reverse=True)
    halves = by_values[::2], by_values[1::2]
    return all(len(_distinct(row_hashes(some, half))) > MANY_KINDS * len(repeated) for half in halves)


def _distinct(hashes: Keys) -> Keys:
    return np.unique(hashes, return_counts=True)[0]  # which sorts, and is faster than np.unique alone, which hashes
