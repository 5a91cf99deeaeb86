"""Judges many hostile files, each in a process of its own, and tells what became of each.

Run as a script with a folder of files: the processes are forked from one that has imported everything, for the sake of
speed; their limits are those of `serin/data/apart.py`.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

MEMORY_MB = 1_500
SECONDS = 20
HEADER = "person,age,salary,education,approved\n"
Make = Callable[[random.Random], bytes]


def rows(draw: random.Random, count: int = 200) -> str:
    return "".join(
        f"{place},{draw.randint(18, 90)},{draw.gauss(3000, 100):.2f},{draw.choice(['school', 'college'])},"
        f"{draw.choice(['yes', 'no'])}\n"
        for place in range(count)
    )


def table(draw: random.Random, count: int = 200) -> pa.Table:
    return pa.table(
        {
            "person": [str(place) for place in range(count)],
            "age": [draw.randint(18, 90) for _ in range(count)],
            "salary": [draw.gauss(3000, 100) for _ in range(count)],
            "education": [draw.choice(["school", "college"]) for _ in range(count)],
            "approved": [draw.choice(["yes", "no"]) for _ in range(count)],
        }
    )


def csv_of(draw: random.Random) -> bytes:
    return (HEADER + rows(draw)).encode()


def parquet_of(draw: random.Random) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table(draw), buffer, compression=draw.choice(["zstd", "snappy", "none", "gzip"]))
    return buffer.getvalue()


def lines_of(draw: random.Random) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in table(draw).to_pylist()).encode()


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


FORMS: list[Make] = [csv_of, parquet_of, lines_of]
PACKED: list[Callable[[bytes], bytes]] = [gzip.compress, zstd, lambda content: gzip.compress(zstd(content))]


def flipped(draw: random.Random) -> bytes:
    content = bytearray(draw.choice(FORMS)(draw))
    for _ in range(draw.randint(1, 40)):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return bytes(content)


def flipped_at_the_end(draw: random.Random) -> bytes:
    """Parquet says at its end what is in it."""
    content = bytearray(parquet_of(draw))
    for _ in range(draw.randint(1, 8)):
        content[-draw.randint(5, min(900, len(content) - 8))] = draw.randrange(256)
    return bytes(content)


def cut(draw: random.Random) -> bytes:
    content = draw.choice(FORMS)(draw)
    return content[: draw.randrange(len(content))]


def packed_and_damaged(draw: random.Random) -> bytes:
    content = bytearray(draw.choice(PACKED)(draw.choice(FORMS)(draw)))
    if draw.random() < 0.5:
        return bytes(content[: draw.randrange(len(content))])
    content[draw.randrange(len(content))] ^= 255
    return bytes(content)


def spliced(draw: random.Random) -> bytes:
    one, other = draw.choice(FORMS)(draw), draw.choice(FORMS)(draw)
    return one[: draw.randrange(len(one))] + other[draw.randrange(len(other)) :]


def of_odd_letters(draw: random.Random) -> bytes:
    letters = ['"', ",", "\n", "\r", ";", "\t", "\\", "=", "\x00", "\x1a", "é", "\ufeff", "𝟘", "-", "1e400", "NaN", " "]
    return (HEADER + "".join(draw.choices(letters, k=draw.randint(1, 4_000)))).encode()


def of_odd_cells(draw: random.Random) -> bytes:
    cells = [
        "1e400",
        "-inf",
        "0x10",
        "٣",
        "1" * 5_000,
        "",
        '"',
        "'",
        "=cmd()",
        "1,5",
        "NaN",
        "\u202e",
        "9" * 400,
        "1_000",
    ]
    lines = [",".join(draw.choices(cells, k=5)) for _ in range(200)]
    return (HEADER + "\n".join(lines)).encode()


def of_random_bytes(draw: random.Random) -> bytes:
    start = draw.choice([b"", b"PAR1", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xff\xfe", b"{", b"\xef\xbb\xbf"])
    return start + draw.randbytes(draw.randint(0, 5_000)) + draw.choice([b"", b"PAR1"])


def of_deep_json(draw: random.Random) -> bytes:
    depth = draw.choice([50, 5_000, 200_000])
    return (
        b'{"age": '
        + b"[" * depth
        + b"]" * draw.choice([0, depth])
        + b'}\n{"age": 1e999}\n{"age": '
        + b"9" * 5_000
        + b"}\n"
    )


def endless(draw: random.Random) -> bytes:
    row = draw.choice(
        [b"1,40,1,school,yes\n", b"\n", b",,,,\n", b'"', b"x", b'"a""b', b"\x00", b"{}\n", b'{"age": 1}\n']
    )
    return draw.choice(PACKED[:2])(HEADER.encode() + row * (10_000_000 // len(row)))


def wide(draw: random.Random) -> bytes:
    width = draw.choice([1_001, 50_000])
    names, row = ",".join(f"c{place}" for place in range(width)), ",".join("1" * width)
    return f"{names}\n{row}\n".encode()


def of_many_rows(draw: random.Random) -> bytes:
    """A small file of nulls, or of one text, as often as a number says."""
    count = draw.choice([3_000_000, 10_000_000])
    text = pa.DictionaryArray.from_arrays(pa.nulls(count, pa.int32()).fill_null(0), ["x" * draw.choice([1, 10_000])])
    buffer = io.BytesIO()
    pq.write_table(pa.table({"age": pa.nulls(count, pa.float64()), "education": text}), buffer, compression="zstd")
    return buffer.getvalue()


KINDS: dict[Make, int] = {
    flipped: 90,
    flipped_at_the_end: 80,
    cut: 60,
    packed_and_damaged: 60,
    spliced: 50,
    of_odd_letters: 50,
    of_odd_cells: 40,
    of_random_bytes: 40,
    of_deep_json: 12,
    endless: 10,
    wide: 4,
    of_many_rows: 4,
}
"""How many of each kind: 500."""


def hostile_files(seed: int) -> Iterator[tuple[str, bytes]]:
    draw = random.Random(seed)
    for make, count in KINDS.items():
        for number in range(count):
            yield f"{make.__name__}-{number}", make(draw)


def judge_in_fork(path: Path, folder: Path, contract: Any) -> dict[str, Any]:
    """Judge one file in a fork: its status and code, how the process ended, its seconds, and its memory at most."""
    from serin.data.intake import judge_file

    reader, writer = os.pipe()
    begun = time.monotonic()
    if (pid := os.fork()) == 0:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MB << 20, MEMORY_MB << 20))
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 20, 256 << 20))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        judgement = judge_file(path, folder, contract)
        codes = [reason.code for reason in judgement.reasons]
        messages = [reason.message[:200] for reason in judgement.reasons[:1]]
        os.write(writer, json.dumps([str(judgement.status), codes[:1], messages]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    _, status, usage = os.wait4(pid, 0)
    return {
        "file": path.name,
        "verdict": json.loads(said) if said else None,
        "exit": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - begun,
        "memory_mb": usage.ru_maxrss / 1024,
    }


def main(folder: Path) -> None:
    import serin.data.intake  # noqa: F401  # imported once, before the forks
    from serin.contract.model import Contract

    contract = Contract.model_validate_json((folder / "contract.json").read_text())
    for path in sorted((folder / "files").iterdir()):
        sys.stdout.write(json.dumps(judge_in_fork(path, folder / "kept" / path.name, contract)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
