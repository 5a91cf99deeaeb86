"""What does a function have for another process beside it, and for the file that it reads?"""

from __future__ import annotations

from collections.abc import Mapping

from serin.aws import variables
from serin.data.apart import Bounds
from serin.data.limits import Limits

_OWN_MB = 450  # what the function itself holds
_UNUSED_MB = 450  # address space that Arrow, numpy and pandas reserve and do not use
_RESERVE_MB = 64  # of the disk
_KEY_BYTES = 120  # that the keys of a row take, while those of datasets before are looked for; 116 were measured


def bounds_of(environment: Mapping[str, str]) -> Bounds:
    """Tell it by the variables that Lambda and the stacks set: less time than the function has, which still answers."""
    memory = int(environment[variables.AWS_LAMBDA_FUNCTION_MEMORY_SIZE])
    seconds, disk = int(environment[variables.TIMEOUT_SECONDS]) * 3 // 4, int(environment[variables.DISK_MB])
    return Bounds(memory - _OWN_MB + _UNUSED_MB, seconds, disk - _RESERVE_MB)


def limits_of(environment: Mapping[str, str]) -> Limits:
    """Tell how large a file may be: what is kept of it has to fit onto the disk beside it, and its keys into memory."""
    memory, disk = int(environment[variables.AWS_LAMBDA_FUNCTION_MEMORY_SIZE]), int(environment[variables.DISK_MB])
    usual = Limits()
    return Limits(max_sent=(disk << 20) // 4, max_rows=min(usual.max_rows, ((memory - _OWN_MB) << 20) // _KEY_BYTES))
