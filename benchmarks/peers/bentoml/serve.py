"""Start BentoML's server. Called with the subject's folder and a port; asked at /predict."""

import os
import sys
from pathlib import Path


def main(subject: Path, port: str) -> None:
    os.environ["SUBJECT"] = str(subject)
    os.environ["BENTOML_DO_NOT_TRACK"] = "true"
    os.chdir(Path(__file__).parent)
    command = Path(sys.executable).parent / "bentoml"
    os.execv(command, [command, "serve", "service:Subject", "--host", "127.0.0.1", "--port", port])


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2])
