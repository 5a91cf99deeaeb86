"""Make the templates of every environment, into cdk.out/<env>. Run by `make synth`; needs no AWS account."""

from __future__ import annotations

import logging
import sys
import time

from app import PROBLEMS, build, read_context

log = logging.getLogger("infra.synth")


def main() -> None:
    """Synthesise one environment after the other."""
    context = read_context()
    for name in context["environments"]:
        begun = time.monotonic()
        assembly = build(context={**context, "env": name}, outdir=None).synth()
        log.info("%s: %s (%.1f s)", name, assembly.directory, time.monotonic() - begun)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main()
    except PROBLEMS as problem:
        sys.exit(f"synth: {problem}")
