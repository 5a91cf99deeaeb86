"""How is a prediction called? By 16 hexadecimal digits; each of its rows by these with its place."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from random import Random


def prediction_ids() -> Callable[[], str]:
    """Make what gives each prediction an id of its own, however many processes there are."""
    draw = Random(secrets.randbits(256)).getrandbits  # to ask the kernel for each id would cost ten times as much
    return lambda: f"{draw(64):016x}"


def row_id(prediction: str, place: int) -> str:
    """Name a row of a prediction: what its answer says, and feedback names."""
    return f"{prediction}-{place}"
