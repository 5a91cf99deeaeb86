"""Which limits has one event, and what does it come to past one? Time, memory, and the size of what goes in and out.

`function_process.py` waits for an answer until `deadline` and kills the process then; `functions.py` looks at the
memory of all that are busy, and kills what has more than its function.
"""

import json
from dataclasses import dataclass

INIT_SECONDS = 10.0  # Lambda gives an init this long before it counts as part of the invocation
SYNC_PAYLOAD_LIMIT = 6 * 1024 * 1024
ASYNC_PAYLOAD_LIMIT = 1024 * 1024
RESPONSE_LIMIT = 6_291_556


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process said about an event. error_type: None where it succeeded."""

    payload: bytes
    error_type: str | None = None


def deadline(began: float, timeout_seconds: float) -> float:
    """Say when an event's time is over. began: when the process had it. Both in monotonic seconds."""
    return began + timeout_seconds


def timed_out(request_id: str, timeout_seconds: float) -> Answer:
    return failure(request_id, "Sandbox.Timedout", f"Task timed out after {timeout_seconds:.2f} seconds")


def out_of_memory(request_id: str) -> Answer:
    return failure(request_id, "Runtime.OutOfMemory", "Runtime exited with error: signal: killed")


def failure(request_id: str, error_type: str, message: str) -> Answer:
    """Say as Lambda does why an event has no answer of its function's."""
    error = {"errorType": error_type, "errorMessage": f"RequestId: {request_id} Error: {message}"}
    return Answer(json.dumps(error).encode(), error_type)


def shortened(answer: Answer) -> Answer:
    """Give the answer, or where it is larger than Lambda gives back, the error that takes its place."""
    if answer.error_type is not None or len(answer.payload) <= RESPONSE_LIMIT:
        return answer
    message = (
        f"Response payload size ({len(answer.payload)} bytes) exceeded maximum allowed payload size"
        f" ({RESPONSE_LIMIT} bytes)."
    )
    error_type = "Function.ResponseSizeTooLarge"
    return Answer(json.dumps({"errorType": error_type, "errorMessage": message}).encode(), error_type)
