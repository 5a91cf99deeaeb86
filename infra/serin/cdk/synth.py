"""Make the templates of every environment, into cdk.out/<env>. Run by `make synth`; needs no AWS account."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

from serin.cdk.app import PROBLEMS, SerinApp, read_context

log = logging.getLogger("serin.cdk.synth")


def main() -> None:
    """Synthesise one environment after the other."""
    project = Path.cwd()
    context = read_context(project)
    for name in context["environments"]:
        begun = time.monotonic()
        assembly = SerinApp(project, context={**context, "env": name}).synth()
        log.info("%s: %s (%.1f s)", name, assembly.directory, time.monotonic() - begun)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main()
    except PROBLEMS as problem:
        sys.exit(f"synth: {problem}")
