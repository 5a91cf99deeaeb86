"""Which commands are there? `serin --help` lists them. What goes wrong in one becomes a sentence and an exit status."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import typer

from serin.cli.commands import contracts, data, lives, models, practice, predictions, projects, releases, twin
from serin.cli.commands.arguments import check_words
from serin.cli.exits import AnsweredNo
from serin.cli.show import complain
from serin.client.packages import MissingPackage
from serin.client.project import AskedWrongly
from serin.errors import ContractError, NotFound, Refused, SerinError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="From a table of data to a prediction endpoint that looks after itself.",
)
for commands in (projects, contracts, twin, data, models, predictions, releases, lives, practice):
    app.add_typer(commands.app)


def main() -> None:
    """Run a command; turn what went wrong into a sentence and a status: 1 the answer is no, 2 asked wrongly."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal may not have every letter
    try:
        check_words(sys.argv[1:])
        app()
    except AnsweredNo:
        sys.exit(1)
    except ContractError as error:
        _fail(error, 2)
    except (AskedWrongly, Refused, NotFound) as error:
        _fail(error, 2)
    except SerinError as error:
        _fail(error, 1)
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] == "serin":
            raise  # a fault of our own
        _fail(MissingPackage(error.name), 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(error: SerinError, status: int) -> None:
    if "--json" in sys.argv:
        document: dict[str, Any] = {"code": error.code, "message": error.message}
        if error.fix:
            document["fix"] = error.fix
        if isinstance(error, ContractError):
            document["problems"] = [asdict(problem) for problem in error.problems]
        print(json.dumps({"error": document}))
    complain(f"{error.message}\n{error.fix}".strip())
    sys.exit(status)


if __name__ == "__main__":
    main()
