"""How are a model's name, a number and a boolean written? Once, for contracts, tables, requests and keys."""

from __future__ import annotations

import re

MODEL_NAME = r"[a-z][a-z0-9_-]{0,62}"
MODEL_NAME_PATTERN = f"^{MODEL_NAME}$"  # as a JSON schema says it
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"  # finite; digits are those of ASCII
BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "1.0"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "0.0"), False),
}
"""What a cell of a table may say, in lower case."""

_MODEL_NAME = re.compile(MODEL_NAME)
_NUMBER = re.compile(NUMBER, re.ASCII)


def is_model_name(text: str) -> bool:
    """Tell whether a model can be called so."""
    return _MODEL_NAME.fullmatch(text) is not None


def is_number(text: str) -> bool:
    """Tell whether a text is a finite number in decimal notation, with nothing around it."""
    return _NUMBER.fullmatch(text) is not None
