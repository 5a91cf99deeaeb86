"""Where is what a deployment takes from Serin? In a wheel beside this module, in a checkout in its folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serin import errors

LIBRARY = Path(errors.__file__).resolve().parents[1]  # the folder that goes onto a function's path
# Parts of the package that no function imports: in a wheel they stand beside those that do.
NOT_ON_LAMBDA = ("cdk", "cli", "client", "local", "shipped")


def shipped(name: str) -> Path:
    """Find `functions`, `layers` (what each bundle pins), `models` (examples) or `CHANGELOG.md`."""
    beside = Path(__file__).resolve().parent / name
    return beside if beside.exists() else Path(__file__).resolve().parents[3] / name


def library_files() -> list[Path]:
    """List the sources that functions import, as paths below LIBRARY, sorted."""
    package = LIBRARY / "serin"
    ours = (path.relative_to(LIBRARY) for path in package.rglob("*.py") if "__pycache__" not in path.parts)
    return sorted(path for path in ours if path.parts[1] not in NOT_ON_LAMBDA)


def settings(context: Mapping[str, Any]) -> dict[str, Any]:
    """Fill up the context of a project's cdk.json with what Serin says where it says nothing (defaults.json).

    Each environment has its own days and requests over those of the defaults, key by key.
    """
    filled = _over(context, json.loads((Path(__file__).parent / "defaults.json").read_text()))
    groups = {name: filled["defaults"][name] for name in ("days", "requests")}
    filled["environments"] = {name: _over(own, groups) for name, own in filled["environments"].items()}
    return filled


def _over(own: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Merge key by key, whatever the depth; what is the project's own comes first."""
    merged = {**usual, **own}
    for name in own.keys() & usual.keys():
        if isinstance(own[name], dict) and isinstance(usual[name], dict):
            merged[name] = _over(own[name], usual[name])
    return merged
