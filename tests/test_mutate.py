"""`make mutate` finds the conditions of every write, wherever a write stands."""

from __future__ import annotations

import pytest

from tests.mutate import LIBRARY, conditions


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("aws/bucket.py", "IfNoneMatch='*'"),
        ("aws/table.py", "'attribute_not_exists(PK)'"),
        ("aws/messages.py", "name  in  self._client.start_execution("),
        ("registry/registry.py", "expected_revision  in  Write(*_UPLOAD_SEARCH"),
        ("release/turn.py", "known.route  in  put("),
        ("release/replay.py", "self.data.put_once  in  "),
    ],
)
def test_conditions_of_every_kind_are_found(path: str, text: str) -> None:
    assert any(each.path == f"{LIBRARY}/{path}" and each.text.startswith(text) for each in conditions())
