"""What does a function find under /opt?"""

import os
import shutil
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path


def merge_layers(layers: Sequence[Path], *, into: Path, live: dict[str, Path]) -> Path:
    """Make one folder that looks like all layers laid over each other, the last on top, out of symlinks.

    live: an entry of this name in any layer is this folder instead, so that a change in it is seen at once.
    Returns `into`, which is made anew.
    """
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    for layer in layers:
        _lay_over(into, layer)
    for name, folder in live.items():
        if os.path.lexists(into / name):
            _remove(into / name)
            (into / name).symlink_to(folder.resolve())
    return into


def unzip(content: bytes, *, into: Path) -> Path:
    """Unpack a function's or a layer's archive, once."""
    if not into.exists():
        unfinished = into.with_name(into.name + ".part")
        zipfile.ZipFile(BytesIO(content)).extractall(unfinished)
        unfinished.rename(into)
    return into


def _lay_over(target: Path, layer: Path) -> None:
    for entry in layer.iterdir():
        place = target / entry.name
        if not os.path.lexists(place):
            place.symlink_to(entry.resolve())
        elif entry.is_dir() and place.is_dir():
            _open_up(place)
            _lay_over(place, entry)
        else:
            _remove(place)
            place.symlink_to(entry.resolve())


def _open_up(place: Path) -> None:
    """Turn a link to a folder into a folder of links, so that others can be added beside them."""
    if place.is_symlink():
        folder = place.resolve()
        place.unlink()
        place.mkdir()
        _lay_over(place, folder)


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink()
