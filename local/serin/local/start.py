"""What happens in the twin's own process, from its first line to its last?

`serin.local.twin.Twin` starts it. It says in one line of JSON what whoever holds the twin needs to know, or what is
wrong; and it ends when its standard input closes, which it does when that holder is gone, however it went.
"""

import argparse
import json
import logging
import os
import signal
import sys
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import boto3
import botocore.session

from serin.local.assembly import hold, read_assembly
from serin.local.errors import TwinError


def main() -> int:
    """Run one cloud. Returns the exit status."""
    arguments = _parse()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a Ctrl-C is for whoever holds the twin
    _quieten()
    _look_up_regions_once()
    from serin.local.cloud import Cloud  # takes two seconds to import, hence after all that is quick

    cloud = None
    try:
        assembly = read_assembly(arguments.assembly)
        held = hold(arguments.assembly)
        cloud = Cloud(
            assembly=assembly,
            live={name: Path(path) for name, path in (entry.split("=", 1) for entry in arguments.live)},
            port=arguments.port,
            clock_rate=arguments.clock_rate,
            state=arguments.state,
            snapshot=arguments.snapshot,
        )
        cloud.start()
        _say(cloud.facts())
        sys.stdin.buffer.read()
    except TwinError as error:
        _say({"error": type(error).__name__, "message": str(error)})
        return 1
    finally:
        if cloud is not None:
            cloud.stop()
            held.close()
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("assembly", type=Path)
    parser.add_argument("--live", action="append", default=[])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--clock-rate", type=float, default=1.0)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--snapshot", type=Path)
    return parser.parse_args()


def _say(facts: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _quieten() -> None:
    warnings.simplefilter("ignore")
    logging.basicConfig(level=os.environ.get("TWIN_LOG_LEVEL", "WARNING"), format="twin: %(message)s")
    for chatty in ("werkzeug", "moto", "botocore", "boto3", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    # moto's interpreter calls it an error when a Choice asks whether a path is there and it is not.
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)


def _look_up_regions_once() -> None:
    """Spare half a second: moto's modules ask for AWS's regions again and again, each with a new session."""
    session = botocore.session.Session()

    @lru_cache
    def regions(service: str, partition: str, is_everything: bool) -> list[str]:
        return session.get_available_regions(service, partition, is_everything)

    def get_available_regions(
        _self: boto3.Session, service_name: str, partition_name: str = "aws", allow_non_regional: bool = False
    ) -> list[str]:
        return list(regions(service_name, partition_name, allow_non_regional))

    boto3.Session.get_available_regions = get_available_regions  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    os._exit(main())  # threads of moto's interpreter are not waited for
