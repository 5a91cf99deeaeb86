"""A few models, trained once for all tests of what is said over HTTP."""

from __future__ import annotations

import pytest

from tests.serving.asking import World, train_files


@pytest.fixture(scope="session")
def model_files() -> dict[str, bytes]:
    return train_files()


@pytest.fixture
def world(model_files: dict[str, bytes]) -> World:
    return World(dict(model_files))
