"""How are the tests shared out? Those that use one twin, or one synthesis, stay on one worker."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARING = ("e2e", "infra", "local")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = Path(item.fspath).parent.name
        if folder in SHARING and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(folder))
