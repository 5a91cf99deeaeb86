"""How is a batch sent, followed and fetched?"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from serin.aws.cloud import Cloud
from serin.batch.account import BatchAccount, BatchStatus, read_account
from serin.batch.job import Source, job_id, sources_under
from serin.client.progress import Progress, teller
from serin.errors import NotFound, Refused, Unavailable
from serin.registry.keys import batch_key, batch_work_prefix

if TYPE_CHECKING:
    import pandas as pd


_NUMBERS = ("score", "base", "base_rows")
_NUMBERS_BELOW = ("probabilities.", "contributions.", "interval.")


class Batch:
    """A batch under way."""

    def __init__(self, cloud: Cloud, model: str, job: str, *, attempt: int = 1) -> None:
        self.cloud, self.model, self.job, self.attempt = cloud, model, job, attempt
        self._account: BatchAccount | None = None

    def wait(self, timeout_seconds: float = 900.0, say: Callable[[str], None] | None = None) -> Self:
        """Wait until every row is accounted for. Raises Unavailable where it takes longer; it goes on then."""
        say = say or teller()
        self._account = follow_batch(self.cloud, self.model, self.job, timeout_seconds, say, attempt=self.attempt)
        return self

    @property
    def account(self) -> BatchAccount:
        """The account of every row; waits for it first."""
        if self._account is None:
            self.wait()
        assert self._account is not None  # else it raised
        return self._account

    @property
    def is_done(self) -> bool:
        """Tell whether each row got an answer, as far as it was waited for."""
        return self._account is not None and self._account.status is BatchStatus.DONE

    def answers(self) -> pd.DataFrame:
        """Read the answers, a row each; waits for them first.

        Columns: file, line, what identifies the row, prediction, score, and what else answers say, as in the files.
        Raises MissingPackage without pandas.
        """
        from serin.client.tables import frame

        names, rows = read_answers(self.cloud, self.account)
        cells = ({name: _typed(name, cell) for name, cell in row.items()} for row in rows)
        return frame(cells, names)

    def write(self, out: Path) -> int:
        """Write the answers into a CSV file, and tell how many there are."""
        return write_answers(self.cloud, self.account, out)

    def __repr__(self) -> str:
        return f"<batch {self.job} of {self.model}: {self._account.status if self._account else 'under way'}>"


def _typed(name: str, cell: str) -> str | float | int | None:
    """Give a cell of an answers' file its type, by the name of its column."""
    if name == "line" and cell:
        return int(cell)
    is_number = name in _NUMBERS or name.startswith(_NUMBERS_BELOW)
    return (float(cell) if cell else None) if is_number else cell


def send_file(cloud: Cloud, model: str, name: str, content: bytes) -> str:
    """Send a file; the environment does the rest by itself. Gives the job's id."""
    key = batch_key(model, name)
    return job_id([Source(key, cloud.data.put(key, content))])


def send_prefix(cloud: Cloud, prefix: str) -> str:
    """Ask for one batch of all files in a folder. Gives the job's id. Raises NotFound where there are none."""
    sources = sources_under(cloud.data, prefix)
    if not sources:
        raise NotFound(
            f"there is no file in {prefix} of the data bucket; files that lie directly in batch/<model>/ "
            "were answered when they arrived, each by itself"
        )
    cloud.batches.send({"prefix": prefix})
    return job_id(sources)


def send_again(cloud: Cloud, model: str, job: str) -> int:
    """Ask to try again what failed in a batch that ended, and tell which attempt that is. Raises NotFound, Refused."""
    try:
        account = read_account(cloud.data, model, job)
    except NotFound as error:
        raise NotFound(f"{model} has no batch {job} that ended") from error
    if not account.is_unfinished:
        raise Refused(f"nothing is left to try in the batch {job}: each row is answered, or was refused for good")
    if not cloud.data.exists(batch_work_prefix(model, job) + "job.json"):
        raise NotFound(f"the working files of the batch {job} are gone, for their days are over; send its files again")
    attempt = account.next_attempt
    cloud.batches.send({"model": model, "job": job, "attempt": attempt})
    return attempt


def follow_batch(
    cloud: Cloud, model: str, job: str, timeout_seconds: float, say: Callable[[str], None], *, attempt: int = 1
) -> BatchAccount:
    """Wait for the account of a batch, by this attempt or a later one. say: is told of the wait.

    Raises Unavailable where it takes too long.
    """
    end, progress = time.monotonic() + timeout_seconds, Progress(say)
    while time.monotonic() < end:
        with suppress(NotFound):
            account = read_account(cloud.data, model, job)
            if account.next_attempt > attempt:
                return account
        progress.tell(f"the batch {job}")
        time.sleep(0.3)
    raise Unavailable(f"the batch {job} did not end within {timeout_seconds:g} s; it goes on without you")


def read_answers(cloud: Cloud, account: BatchAccount) -> tuple[list[str], list[dict[str, Any]]]:
    """Read the answers of all parts: the names of the columns, and the rows."""
    parts = [
        (file.key, csv.DictReader(io.StringIO(cloud.data.get(part.key).decode())))
        for file in account.files
        for part in file.parts
        if part.key
    ]
    names = dict.fromkeys(name for _, part in parts for name in part.fieldnames or ())
    return ["file", *names], [{"file": key, **row} for key, part in parts for row in part]


def write_answers(cloud: Cloud, account: BatchAccount, out: Path) -> int:
    """Write the answers of all parts into one file, and tell how many there are."""
    names, rows = read_answers(cloud, account)
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)
