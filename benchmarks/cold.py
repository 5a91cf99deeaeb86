"""How long does a new process take to its first answer? The function as Lambda starts it, against its model alone.

Run by `make bench-cold`. Time runs from the start of the process: interpreter, Lambda's runtime client, imports, the
route from the table, the model from the bucket (both on the twin), and one prediction. Against it stands a fresh
interpreter that imports onnxruntime, loads the same model from a file and runs it once.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.on_twin import on_twin
from benchmarks.report import Figure, alternate, say, tell
from benchmarks.subject import an_event, make_subject
from serin.cdk.packages import Packer
from serin.local.function_process import FunctionProcess, Spec
from serin.local.reaper import Reaper
from serin.local.twin import Twin

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 11
TIMEOUT_SECONDS = 60.0
SHOWN_IMPORTS = 12
MB = 10**6

MODEL_ALONE = """
import sys
import numpy as np
import onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
columns = session.get_inputs()[0]
session.run(None, {columns.name: np.zeros((1, columns.shape[1]))})
"""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The code of a function as Lambda lays it out: its own folder, and its layers."""

    task: Path
    opt: Path

    def without_bytecode(self, folder: Path) -> Unpacked:
        """Copy it, leaving the bytecode out."""
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(self.task, folder / "task", ignore=ignore)
        shutil.copytree(self.opt, folder / "opt", ignore=ignore)
        return Unpacked(folder / "task", folder / "opt")


def main() -> int:
    subject = make_subject()
    with tempfile.TemporaryDirectory() as scratch, on_twin(subject) as running:
        place = Path(scratch)
        compiled, bundle_bytes = unpack(place / "compiled")
        (place / "model.onnx").write_bytes(subject.files["model.onnx"])
        starts = Starts(running.twin, an_event(subject), place)
        say(f"starting processes, {ROUNDS} rounds")
        took = alternate(
            {
                "with": partial(starts.to_first_answer, compiled),
                "without": partial(starts.to_first_answer, compiled.without_bytecode(place / "sources")),
                "alone": partial(model_alone, compiled, place / "model.onnx"),
            },
            rounds=ROUNDS,
        )
        imports = starts.imports(compiled)
        starts.close()
    return tell(
        "cold",
        [
            Figure("process start to first answer, with bytecode", took["with"] * 1000, "ms"),
            Figure("the same without bytecode", took["without"] * 1000, "ms"),
            Figure("import onnxruntime, load and run, with bytecode", took["alone"] * 1000, "ms"),
            Figure("first answer / import, load and run", took["with"] / took["alone"], "×", at_most=3),
            Figure("the serving bundle, unzipped", bundle_bytes / MB, "MB", at_most=90),
            *(Figure(f"import of {name}", seconds * 1000, "ms") for name, seconds in imports),
        ],
    )


def unpack(folder: Path) -> tuple[Unpacked, int]:
    """Pack the function and its layers for the interpreter that runs here, and unpack them; the bundle's size."""
    packer = Packer(
        runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
        architecture=platform.machine().replace("aarch64", "arm64"),
        store=ROOT / "build" / "packages",
    )
    bundle = packer.pack_bundle(ROOT / "layers" / "serving")
    library = packer.pack_library()
    function = packer.pack_function(ROOT / "functions" / "api")
    for packed, name in ((bundle, "opt"), (library, "opt"), (function, "task")):
        with zipfile.ZipFile(packed.zip) as archive:
            archive.extractall(folder / name)
    return Unpacked(folder / "task", folder / "opt"), bundle.unpacked_bytes


def model_alone(code: Unpacked, model: Path) -> float:
    """Time a fresh interpreter that does nothing but run the model; in seconds."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(code.opt / "python")}
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", MODEL_ALONE, model], env=environment, check=True)
    return time.perf_counter() - begun


class Starts:
    """Starts the function's processes, each under a Runtime API of its own, with the twin for its cloud."""

    def __init__(self, twin: Twin, event: dict[str, object], scratch: Path) -> None:
        self._twin, self._event, self._scratch = twin, json.dumps(event).encode(), scratch
        self._warden = Reaper()
        self._numbers = itertools.count()

    def close(self) -> None:
        self._warden.close()

    def to_first_answer(self, code: Unpacked) -> float:
        """Time a process from its start to its first answer, in seconds."""
        return self._start(code)[0]

    def imports(self, code: Unpacked) -> list[tuple[str, float]]:
        """Say which packages took longest to import until the first answer, in seconds each."""
        _, output = self._start(code, PYTHONPROFILEIMPORTTIME="1")
        seconds_by_package = summarise(output.splitlines())
        return sorted(seconds_by_package.items(), key=lambda item: -item[1])[:SHOWN_IMPORTS]

    def _start(self, code: Unpacked, **variables: str) -> tuple[float, str]:
        begun = time.perf_counter()
        process = FunctionProcess(
            self._spec(code, variables),
            access_key="bench",
            endpoint_url=self._twin.endpoint_url,
            home=self._scratch / f"home-{next(self._numbers)}",
            log_stream="bench",
            reaper=self._warden,
        )
        with ThreadPoolExecutor(1) as reader:
            output = reader.submit(process.output.read)
            try:
                until = time.monotonic() + TIMEOUT_SECONDS
                failed = process.send("bench", self._event, timeout_seconds=TIMEOUT_SECONDS)
                answer = failed or process.receive("bench", until=until, deadline=until)
                taken = time.perf_counter() - begun
            finally:
                process.close()
            text = output.result().decode()
        assert answer is not None, text
        assert json.loads(answer.payload).get("statusCode") == 200, (answer, text)
        return taken, text

    def _spec(self, code: Unpacked, variables: dict[str, str]) -> Spec:
        names = {"TABLE": self._twin.outputs["Table"], "ARTIFACTS_BUCKET": self._twin.outputs["ArtifactsBucket"]}
        return Spec(
            name="api",
            arn="arn:aws:lambda:eu-west-1:123456789012:function:api",
            handler="handler.app",
            region=self._twin.region,
            code=code.task,
            opt=code.opt,
            environment={**names, "PYTHONDONTWRITEBYTECODE": "1", **variables},
            timeout_seconds=TIMEOUT_SECONDS,
            memory_mb=1024,
            concurrency=None,
            log_group="bench",
        )


def summarise(lines: Iterable[str]) -> dict[str, float]:
    """Sum what `-X importtime` writes, by package: the seconds in a module itself, not in what it imports."""
    seconds_by_package: defaultdict[str, float] = defaultdict(float)
    for line in lines:
        if match := re.match(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\w+)", line):
            package = match[2] if match[2] not in sys.stdlib_module_names else "the standard library"
            seconds_by_package[package] += int(match[1]) / 1e6
    return seconds_by_package


if __name__ == "__main__":
    sys.exit(main())
