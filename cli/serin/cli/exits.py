"""How does a command end? With 0, with 1 where the answer is no, with 2 where it was asked wrongly."""

from __future__ import annotations


class AnsweredNo(Exception):
    """When a command did its work and the answer is no. Exit status 1."""
