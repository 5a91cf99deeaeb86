"""How are a model's name, a number and a boolean written?"""

from __future__ import annotations

import pytest

from serin.contract.notation import BOOLEANS, is_model_name, is_number


@pytest.mark.parametrize("text", ["loans", "a", "credit-2_b", "a" * 63])
def test_a_model_may_be_called_so(text: str) -> None:
    assert is_model_name(text)


@pytest.mark.parametrize("text", ["", "Loans", "2loans", "-a", "a b", "loans\n", "a" * 64, "ä"])
def test_no_model_can_be_called_so(text: str) -> None:
    assert not is_model_name(text)


@pytest.mark.parametrize("text", ["1", "-1.5", "+.5", "1.", "1e9", "2E-3"])
def test_this_is_a_number(text: str) -> None:
    assert is_number(text)


@pytest.mark.parametrize("text", ["", ".", "1,5", "0x1f", "1_000", "inf", "nan", " 1", "1\n", "١"])
def test_this_is_no_number(text: str) -> None:
    assert not is_number(text)


def test_a_boolean_is_written_in_lower_case() -> None:
    assert BOOLEANS["yes"] is True
    assert BOOLEANS["0.0"] is False
    assert all(text == text.lower() for text in BOOLEANS)
