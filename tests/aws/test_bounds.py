"""A function knows by its own size what another process beside it may take."""

from __future__ import annotations

import pytest

from serin.aws.bounds import bounds_of, limits_of
from serin.shipped.environments import settings


@pytest.mark.parametrize("function", ["validate_data", "split_batch"])
def test_what_is_read_fits_beside_the_function(function: str) -> None:
    size = settings({})["defaults"]["sizes"][function]
    environment = {
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(size["memory_mb"]),
        "DISK_MB": str(size["disk_mb"]),
        "TIMEOUT_SECONDS": str(size["timeout_seconds"]),
    }
    bounds, limits = bounds_of(environment), limits_of(environment)
    assert bounds.memory_mb <= size["memory_mb"]
    assert bounds.seconds < size["timeout_seconds"], "so that there is time for a receipt"
    assert bounds.disk_mb < size["disk_mb"]
    assert 256 << 20 <= limits.max_sent <= size["disk_mb"] << 18
    assert 13_000_000 <= limits.max_rows <= 14_000_000
