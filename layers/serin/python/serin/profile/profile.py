"""What does a table look like? A summary of its columns that merges by addition, exactly.

`profile_columns(a) + profile_columns(b) == profile_columns(a and b)`: all counts are integers, and which categories are
kept is decided by their hash, not by their frequency. Bins of numbers are as fine as the number of those in use allows:
a narrow range far from 0 has as many as a wide one. They lie within each other, and a part never needs coarser ones
than the whole, so that adding parts gives just the whole. OpenTelemetry's exponential histograms are scaled likewise.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serin.errors import Unverified

FORMAT = 1
BINS_PER_OCTAVE = 32  # of the coarsest bins; each degree of fineness doubles them
FINEST = 15
MOST_BINS = 128  # in use; a column whose coarsest bins are more keeps those
MOST_COUNTED = 1 << 17  # bins that are counted in one pass
KEPT_CATEGORIES = 1000
_LOWEST_EXPONENT = -1074  # of the smallest float64 above 0


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers. bins: how many values fell in each bin, by its index (see `bin_bounds`); none of 0 counts.

    minimum, maximum: None where all are missing. fineness: of the bins, the highest of which at most `MOST_BINS` are in
    use; 0 for profiles of before, which do not say.
    """

    missing: int
    minimum: float | None
    maximum: float | None
    bins: dict[int, int]
    fineness: int = 0

    def __add__(self, other: Numbers) -> Numbers:
        ends = [end for end in (self.minimum, self.maximum, other.minimum, other.maximum) if end is not None]
        fineness = min(self.fineness, other.fineness)
        bins = Counter(self.bins_at(fineness)) + Counter(other.bins_at(fineness))
        while len(bins) > MOST_BINS and fineness:
            fineness -= 1
            bins = _coarsened(bins, 1)
        return Numbers(
            missing=self.missing + other.missing,
            minimum=min(ends, default=None),
            maximum=max(ends, default=None),
            bins=dict(sorted(bins.items())),
            fineness=fineness,
        )

    def bins_at(self, fineness: int) -> Mapping[int, int]:
        """Count the values over bins of a fineness, which is at most this column's."""
        return _coarsened(self.bins, self.fineness - fineness) if fineness < self.fineness else self.bins


@dataclass(frozen=True, slots=True)
class Categories:
    """A column of text. counts: of each category; past a bound of those with the lowest hashes; others: of the rest."""

    missing: int
    counts: dict[str, int]
    others: int = 0

    def __add__(self, other: Categories) -> Categories:
        both = Counter(self.counts) + Counter(other.counts)
        return _bounded(both, missing=self.missing + other.missing, others=self.others + other.others)


@dataclass(frozen=True, slots=True)
class Profile:
    """The summary of a table: its number of rows and each column's summary, by name."""

    rows: int
    columns: dict[str, Numbers | Categories]

    def __add__(self, other: Profile) -> Profile:
        """Merge two. Raises ValueError where their columns differ in name or kind."""
        kinds, other_kinds = ({name: type(column) for name, column in p.columns.items()} for p in (self, other))
        if kinds != other_kinds:
            odd = sorted(name for name in {*kinds, *other_kinds} if kinds.get(name) is not other_kinds.get(name))
            raise ValueError(f"profiles of different columns cannot be merged: {', '.join(odd)}")
        merged = {name: column + other.columns[name] for name, column in self.columns.items()}  # type: ignore[operator]  # same kind, as checked
        return Profile(self.rows + other.rows, merged)

    def to_json(self) -> bytes:
        """Write it; equal profiles give equal bytes."""
        data = {"format": FORMAT, **asdict(self)}
        return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Profile:
        """Read one. Raises Unverified where it is none, or of a format this code does not know."""
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise Unverified(f"profile.json has format {data['format']}; this version of Serin reads {FORMAT}")
            return read_profile(data)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unverified(f"profile.json cannot be read: {error}") from error


def profile_columns(columns: Mapping[str, NDArray[Any]]) -> Profile:
    """Summarise columns of one length: float64, NaN where missing, or objects, of which what is no str is missing."""
    rows = len(next(iter(columns.values()), np.empty(0)))
    return Profile(
        rows,
        {
            name: _categories(column) if column.dtype == object else profile_numbers(column)
            for name, column in columns.items()
        },
    )


def profile_numbers(values: NDArray[np.float64], finest: int = FINEST) -> Numbers:
    """Summarise one column of numbers, NaN where missing. finest: the fineness that its bins have at most."""
    is_missing = np.isnan(values)
    missing = int(np.count_nonzero(is_missing))
    present = values[~is_missing] if missing else values
    if not len(present):
        return Numbers(len(values), None, None, {}, finest)
    largest = np.finfo(np.float64).max
    low, high = float(present.min()), float(present.max())
    if low < -largest or high > largest:
        present = np.clip(present, -largest, largest)
        low, high = float(present.min()), float(present.max())
    lowest, highest = (int(_bins(np.array([end]), finest)[0]) for end in (low, high))
    index, width = _bins(present, finest), highest - lowest + 1
    if width <= MOST_COUNTED:
        index -= lowest
        counts = np.bincount(index, minlength=width)
        used = np.flatnonzero(counts)
        counts, used = counts[used], used + lowest
    else:
        index.sort()
        firsts = np.flatnonzero(np.diff(index, prepend=index[0] - 1))
        counts, used = np.diff(firsts, append=len(index)), index[firsts]
    fineness = _fineness(used, finest)
    coarse = _coarser(used, finest - fineness)
    firsts = np.flatnonzero(np.diff(coarse, prepend=coarse[0] - 1))
    return Numbers(
        missing=missing,
        minimum=low + 0.0,  # makes -0.0 one with 0.0
        maximum=high + 0.0,
        bins=dict(zip(coarse[firsts].tolist(), np.add.reduceat(counts, firsts).tolist(), strict=True)),
        fineness=fineness,
    )


def _bins(values: NDArray[np.float64], fineness: int) -> NDArray[np.int64]:
    """Give the bin of each value: its exponent and the first bits of its fraction, just as a float64 holds them."""
    parts = BINS_PER_OCTAVE << fineness
    index = np.abs(values).view(np.int64)
    is_small = index < 1 << 52 if int(index.min()) < 1 << 52 else None  # there a float64 has no hidden bit
    index >>= 52 - (parts.bit_length() - 1)
    index += (-1022 - _LOWEST_EXPONENT) * parts + 1
    if is_small is not None:
        fraction, exponent = np.frexp(np.abs(values[is_small]))
        part = ((fraction - 0.5) * (2 * parts)).astype(np.int64)
        index[is_small] = (exponent.astype(np.int64) - _LOWEST_EXPONENT) * parts + part + 1
        index[values == 0] = 0
    return np.negative(index, out=index, where=values < 0)


def _fineness(used: NDArray[np.int64], finest: int) -> int:
    """Find the highest fineness at which few enough bins are in use. used: the finest bins in use, in their order."""

    def in_use(fineness: int) -> int:
        return 1 + int(np.count_nonzero(np.diff(_coarser(used, finest - fineness))))

    return max(bisect_right(range(finest + 1), MOST_BINS, key=in_use) - 1, 0)


def _coarser(index: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
    """Tell in which bin each bin lies where they are coarser by so many steps."""
    coarser: NDArray[np.int64] = np.sign(index) * (((np.abs(index) - 1) >> steps) + 1)
    return coarser


def _coarsened(bins: Mapping[int, int], steps: int) -> Counter[int]:
    counts = Counter[int]()
    coarser = _coarser(np.fromiter(bins, dtype=np.int64, count=len(bins)), steps).tolist()
    for index, count in zip(coarser, bins.values(), strict=True):
        counts[index] += count
    return counts


def bin_bounds(index: int, fineness: int) -> tuple[float, float]:
    """Give the values that fall in a bin: from the first, included, to the second, excluded, away from zero.

    Bin 0 is 0 itself. The others are equal parts of each octave, 32 at fineness 0, so that whole numbers below 64 have
    a bin each.
    """
    if index == 0:
        return 0.0, 0.0
    parts = BINS_PER_OCTAVE << fineness
    octave, part = divmod(abs(index) - 1, parts)
    sign = 1 if index > 0 else -1
    with np.errstate(over="ignore"):  # the last bin ends at infinity
        low, high = np.ldexp(0.5 + np.array([part, part + 1]) / (2 * parts), octave + _LOWEST_EXPONENT)
    return float(sign * low), float(sign * high)


def profile_categories(counts: Mapping[str, int], rows: int) -> Categories:
    """Summarise one column of categories. counts: of each; the rest of the rows miss it."""
    return _bounded(Counter(counts), missing=rows - sum(counts.values()), others=0)


def _categories(values: NDArray[Any]) -> Categories:
    counts = {value: count for value, count in Counter(values.tolist()).items() if isinstance(value, str)}
    return profile_categories(counts, len(values))


def _bounded(counts: Counter[str], *, missing: int, others: int) -> Categories:
    """Keep the categories of the lowest hashes, which are the same whatever the order of merging."""
    kept = sorted(counts)
    if len(kept) > KEPT_CATEGORIES:
        kept = sorted(sorted(kept, key=_hash)[:KEPT_CATEGORIES])
    return Categories(
        missing=missing,
        counts={category: counts[category] for category in kept},
        others=others + counts.total() - sum(counts[category] for category in kept),
    )


def _hash(category: str) -> bytes:
    return hashlib.blake2b(category.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def read_profile(data: dict[str, Any]) -> Profile:
    """Build a profile from JSON. Raises KeyError, TypeError or ValueError where it is none."""
    return Profile(data["rows"], {name: read_column(column) for name, column in data["columns"].items()})


def read_column(data: dict[str, Any]) -> Numbers | Categories:
    """Build a column's summary from JSON. Raises KeyError, TypeError or ValueError where it is none."""
    if "bins" in data:
        return Numbers(
            **{
                **data,
                "bins": {
                    int(index): count for index, count in sorted(data["bins"].items(), key=lambda item: int(item[0]))
                },
            }
        )
    return Categories(**data)
