"""How does a repository of one's own begin? From the files of template/, with a model to learn from."""

from __future__ import annotations

import json
import re
import shutil
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from serin.client.project import AskedWrongly
from serin.contract.schema import contract_schema
from serin.shipped import shipped
from serin.shipped.environments import MOST_LETTERS, NAME, NAME_RULE, settings, stack_name

TEMPLATE = Path(__file__).parent / "template"
EXAMPLE = "loans"
VERSION_FILE = ".serin-version"  # which Serin a project follows, for `serin upgrade`
HIDDEN = ("github", "gitignore")  # whose names begin with a dot, which packages leave out
LONGEST_ENVIRONMENT = "staging"  # that a project will have, for all of whose names there has to be room


def write_project(folder: Path) -> list[Path]:
    """Write a project into a new folder, called as the folder is, and list its files.

    Raises AskedWrongly where the folder is in use, or its name cannot be in the names of what is made on AWS.
    """
    name = folder.resolve().name
    most = MOST_LETTERS - len(stack_name("", LONGEST_ENVIRONMENT))
    if not NAME.fullmatch(name) or len(name) > most:
        raise AskedWrongly(
            f"{name!r} cannot be the name of a project: it stands in the names of buckets and stacks, which take at "
            f"most {most} {NAME_RULE}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AskedWrongly(f"{folder} exists and is not empty; name another folder")
    values = {"name": name, "region": settings({})["defaults"]["region"], "serin": _requirement(folder)}
    for source in sorted(path for path in TEMPLATE.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        parts = source.relative_to(TEMPLATE).parts
        place = folder.joinpath(f".{parts[0]}" if parts[0] in HIDDEN else parts[0], *parts[1:])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(re.sub(r"(?<!\$)\{(name|region|serin)\}", lambda match: values[match[1]], source.read_text()))
    shutil.copytree(shipped("models") / EXAMPLE, folder / "models" / EXAMPLE)
    write_what_follows(folder)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def write_what_follows(folder: Path) -> None:
    """Write what follows the installed version: its number, and the schema by which editors check contracts."""
    (folder / VERSION_FILE).write_text(metadata.version("serin") + "\n")
    place = folder / "docs" / "contract.schema.json"  # which each contract names in its first line
    place.parent.mkdir(exist_ok=True)
    place.write_text(contract_schema())


def _requirement(folder: Path) -> str:
    """Say what pip has to install: the version that writes this, from where it came.

    A wheel that was installed from a file goes along in vendor/, for no index need have it.
    """
    distribution = metadata.distribution("serin")
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    path = Path(unquote(urlsplit(origin.get("url", "")).path))
    if origin.get("dir_info") is not None:  # a checkout
        return f"serin[local] @ {origin['url']}"
    if path.suffix == ".whl" and path.is_file():
        (folder / "vendor").mkdir(parents=True)
        shutil.copyfile(path, folder / "vendor" / path.name)
        return f"--find-links vendor\nserin[local]=={distribution.version}"
    return f"serin[local]=={distribution.version}"
