"""Who asks for a training, and what does such a message say?"""

from __future__ import annotations

import pytest

from serin.registry.requests import TrainingRequest, Trigger


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (TrainingRequest("loans", Trigger.UPLOAD), {"model": "loans", "by": "upload"}),
        (TrainingRequest("loans", Trigger.HAND, "r1"), {"model": "loans", "by": "hand", "id": "r1"}),
    ],
)
def test_a_request_is_read_as_it_was_sent(request_: TrainingRequest, message: dict[str, str]) -> None:
    assert request_.to_message() == message
    assert TrainingRequest.from_message(message) == request_


def test_what_asks_is_one_of_the_triggers() -> None:
    with pytest.raises(ValueError, match="wind"):
        TrainingRequest.from_message({"model": "loans", "by": "wind"})
