"""What does Serin say of environments where a project's cdk.json says nothing, and what may they be called?"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = re.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*")  # of an environment, and its prefix
NAME_RULE = "lower-case letters, digits, and single hyphens between them; a letter first"
MOST_LETTERS = 24  # of a stack's name: a bucket's, which has account and region too, then stays within S3's 63


def stack_name(prefix: str, environment: str) -> str:
    """Name the stack of everything that can be made again; all other names begin with it."""
    return f"{prefix}-{environment}"


def settings(context: Mapping[str, Any]) -> dict[str, Any]:
    """Fill up the context of a project's cdk.json with what Serin says where it says nothing (environments.json).

    Each environment has its own days, requests and tags over those of the defaults, key by key.
    """
    filled = _over(context, json.loads(Path(__file__).with_suffix(".json").read_text()))
    groups = {name: filled["defaults"][name] for name in ("days", "requests", "tags")}
    filled["environments"] = {name: _over(own, groups) for name, own in filled["environments"].items()}
    return filled


def _over(own: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Merge key by key, whatever the depth; what is the project's own comes first."""
    merged = {**usual, **own}
    for name in own.keys() & usual.keys():
        if isinstance(own[name], dict) and isinstance(usual[name], dict):
            merged[name] = _over(own[name], usual[name])
    return merged
