"""What goes and what stays where a model is deleted? It is said first, then done."""

from __future__ import annotations

from serin.cli.show import Output
from serin.client.words import name_some
from serin.registry.keys import data_prefixes, versions_prefix
from serin.release.delete import Inventory


def tell_inventory(output: Output, inventory: Inventory, model: str, capture_days: int) -> None:
    """Say what goes with a model, and what stays."""
    versions = name_some([f"{model}@{number}" for number in inventory.versions]) or "none"
    output.say(f"goes, for good, from {model}:", style="bold")
    output.facts(
        [
            ("versions", versions),
            ("rows", f"{inventory.datasets:,} datasets, {inventory.runs:,} runs, {inventory.releases:,} releases"),
            ("objects", f"every version below {', '.join((versions_prefix(model), *data_prefixes(model)))}"),
            ("answers", "those that batches kept by entity"),
        ]
    )
    output.say("stays:", style="bold")
    output.facts(
        [
            ("history", "who did what, when and why, with the digests of these versions"),
            ("captures", f"they are of all models together, and expire by themselves after {capture_days} days"),
            ("contract", "its model.yaml: what is uploaded for it later begins anew, and its versions are numbered on"),
        ]
    )
