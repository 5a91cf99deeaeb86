"""Which arguments do the commands share, and how is each read?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from serin.client.project import AskedWrongly, check_name

Model = Annotated[str, typer.Argument(help="the model's name")]
Which = Annotated[str, typer.Argument(metavar="MODEL@VERSION", help="like loans@3 or loans@champion")]
Env = Annotated[str, typer.Option("--env", help="an environment of cdk.json")]
AsJson = Annotated[bool, typer.Option("--json", help="write one JSON document and nothing else")]
Decimal = Annotated[str | None, typer.Option(help='what stands before a fraction: "," or "."')]
Thousands = Annotated[str | None, typer.Option(help="what stands between groups of digits")]
Dates = Annotated[str | None, typer.Option(help="how dates are written, as strptime says it: %d/%m/%Y")]
Encoding = Annotated[str | None, typer.Option(help="of a CSV that is not UTF-8: cp1252")]
Port = Annotated[int, typer.Option(envvar="SERIN_PORT", min=0, max=65534, help="the twin's port; 0 takes a free one")]

DEFAULT_PORT = 4600


def read_version(which: str) -> tuple[str, int]:
    """Read MODEL@VERSION where the version must be a number."""
    model, _, version = which.partition("@")
    check_name(model)
    if not (version.isascii() and version.isdigit()):
        raise AskedWrongly(f"{which!r} names no version; write it like {model}@3")
    return model, int(version)


def confirm(name: str, typed: str, *, what: str) -> None:
    """Let a person say the name of what they are about to lose. typed: where they said it already.

    Raises AskedWrongly where it is another name, or nobody is there to be asked.
    """
    if not typed and not sys.stdin.isatty():
        raise AskedWrongly(f"nobody can be asked here; to confirm it, say --yes {name}")
    typed = typed or typer.prompt(f"type the name of {what} to go on", err=True)
    if typed != name:
        raise AskedWrongly(f"{typed!r} is not {name!r}; nothing was done")


def check_words(words: Sequence[str]) -> None:
    """Raise AskedWrongly where a word is not UTF-8, as the name of a file may be: keys and contracts are."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            shown = word.encode(errors="backslashreplace").decode()
            raise AskedWrongly(f"{shown} is not UTF-8; where it is a file's name, rename the file") from error
