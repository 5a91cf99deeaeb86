"""Where is what a deployment takes from Serin? In a wheel beside this module, in a checkout in its folders."""

from __future__ import annotations

from pathlib import Path

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
