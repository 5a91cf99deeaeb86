"""How does a version leave for elsewhere? As files that need nothing of ours: a bundle, a wheel, a build context.

The serving code goes along as it is: an export answers as the endpoint does because the same code answers.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import re
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from serin.cli.golden import golden
from serin.client.project import AskedWrongly
from serin.contract.serving_spec import ServingSpec
from serin.errors import SerinError
from serin.registry.ports import Objects
from serin.registry.records import ModelVersion, VersionStatus
from serin.registry.register import verify_version
from serin.serving.standalone.single import StandaloneVersion
from serin.shipped import LIBRARY, shipped

ARTIFACT = ("model.onnx", "spec.json", "manifest.json")
_PINS = shipped("layers") / "serving" / "requirements.in"

Files = dict[str, bytes]
Kind = Literal["onnx", "wheel", "container"]


def export(version: ModelVersion, artifacts: Objects, kind: Kind) -> Files:
    """Make the files of an export by their paths, after checking every file of the version.

    The same version and code give the same bytes. Raises Unverified, NotFound.
    """
    verify_version(version, artifacts)
    files = {name: artifacts.get(version.prefix + name) for name in ARTIFACT}
    spec = ServingSpec.from_json(files["spec.json"])
    files["golden.json"] = golden(StandaloneVersion.open(files.__getitem__), spec)
    makers: dict[Kind, Callable[[ModelVersion, Files], Files]] = {
        "onnx": _bundle,
        "wheel": _wheel,
        "container": _container,
    }
    return makers[kind](version, files)


def check_is_free(folder: Path) -> None:
    """Raise AskedWrongly where a folder cannot take an export."""
    if folder.exists() and not folder.is_dir():
        raise AskedWrongly(f"{folder} is a file; name a folder with --to")
    if folder.is_dir() and any(folder.iterdir()):
        raise AskedWrongly(f"{folder} exists and is not empty; name another folder with --to")


def write(files: Files, folder: Path) -> None:
    """Write files into a folder. Raises AskedWrongly where it has some already, or may not be written."""
    check_is_free(folder)
    try:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    except OSError as error:
        raise AskedWrongly(f"{folder} cannot be written: {error.strerror}") from error


def _bundle(version: ModelVersion, files: Files) -> Files:
    code = _sources("serin.serving.standalone.predictor")
    pins = _pins(code)
    text = _readme(
        version, files, pins, "answers: python predict.py rows.json", "the golden rows: python predict.py --check"
    )
    return {**files, "predict.py": _one_file(version, code, pins), "README.txt": text, **_requirements(pins)}


def _container(version: ModelVersion, files: Files) -> Files:
    code = _sources("serin.serving.standalone.server")
    pins = _pins(code)
    text = _readme(
        version,
        files,
        pins,
        f"build: docker build -t {version.model}:{version.number} .",
        f"run: docker run --rm -p 8080:8080 {version.model}:{version.number}",
        f"ask: POST /models/{version.model}/predict",
        f"Open Inference Protocol V2: POST /v2/models/{version.model}/infer",
        f"MLflow and SageMaker: POST /invocations and GET /ping, also under /models/{version.model}",
        f"each path, with examples: GET /models/{version.model}/docs and /models/{version.model}/openapi.json",
    )
    return {
        "Dockerfile": _DOCKERFILE.format(model=version.model, version=version.number).encode(),
        "README.txt": text,
        **_requirements(pins),
        **{_path(name, is_package): text.encode() for name, (text, is_package) in code.items()},
        **{f"model/{name}": content for name, content in files.items()},
    }


def _wheel(version: ModelVersion, files: Files) -> Files:
    """Make a wheel (PEP 427) byte by byte: nothing of when and where it was made is in it."""
    package = f"{version.model.replace('-', '_')}_model"
    name = re.sub("_+", "_", package)
    code = {
        _path(module.replace("serin", f"{package}._serin", 1), is_package): _moved(text, f"{package}._serin").encode()
        for module, (text, is_package) in _sources("serin.serving.standalone.single").items()
    }
    pins = _pins(_sources("serin.serving.standalone.single"))
    answers = f"answers: from {package} import predict; predict([{{...}}, ...]), also of a DataFrame"
    text = _readme(version, files, pins, answers)
    requires = "".join(f"Requires-Dist: {pin.replace('==', '>=')}\n" for pin in pins)
    head = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version.number}\n"
        f"Summary: {version.model}@{version.number}, ready to answer\nRequires-Python: >=3.11\n{requires}"
        "Description-Content-Type: text/plain\n\n"
    )
    info = f"{name}-{version.number}.dist-info"
    members = {
        f"{package}/__init__.py": _PACKAGE.format(package=package, which=_which(version)).encode(),
        f"{package}/py.typed": b"",
        **code,
        **{f"{package}/{file}": content for file, content in files.items()},
        f"{info}/METADATA": head.encode() + text,
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: serin\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},sha256={_digest(content)},{len(content)}\n" for file, content in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    return {f"{name}-{version.number}-py3-none-any.whl": _zip(members)}


def _zip(members: Mapping[str, bytes]) -> bytes:
    """Zip files without compression, whose bytes would depend on the zlib at hand."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)  # of 1980-01-01
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3
            archive.writestr(entry, content)
    return held.getvalue()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _sources(entry: str) -> dict[str, tuple[str, bool]]:
    """Find a module of the library and all that it imports of it: source, and whether it is a package, by name.

    What is imported stands before who imports it.
    """
    modules: dict[str, tuple[str, bool]] = {}
    under_way = set()

    def visit(name: str) -> None:
        if name in under_way:
            return
        under_way.add(name)
        if "." in name:
            visit(name.rpartition(".")[0])
        file = LIBRARY / name.replace(".", "/")
        is_package = file.is_dir()
        text = (file / "__init__.py" if is_package else file.with_suffix(".py")).read_text()
        if name == "serin":  # which looks for its other parts, and an export is all there is
            text = f'"""{ast.get_docstring(ast.parse(text))}"""\n'
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "serin":
                visit(node.module)
                for alias in node.names:
                    if (LIBRARY / node.module.replace(".", "/") / f"{alias.name}.py").is_file():
                        visit(f"{node.module}.{alias.name}")
        modules[name] = (text, is_package)

    visit(entry)
    return modules


def _pins(code: Mapping[str, tuple[str, bool]]) -> list[str]:
    """The packages that code imports, pinned as the endpoint's are: with these the version was judged."""
    pinned = {
        line.partition("==")[0]: line for line in _PINS.read_text().split("\n") if "==" in line and line[0] != "#"
    }
    imported = set()
    for text, _ in code.values():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    needed = imported - sys.stdlib_module_names - {"serin"}
    if unknown := needed - pinned.keys():
        raise SerinError(f"{_PINS} does not pin {', '.join(sorted(unknown))}, which serving imports")
    return sorted(pinned[name] for name in needed)


def _requirements(pins: Sequence[str]) -> Files:
    return {"requirements.txt": "".join(f"{pin}\n" for pin in pins).encode()}


def _path(module: str, is_package: bool) -> str:
    return module.replace(".", "/") + ("/__init__.py" if is_package else ".py")


def _moved(text: str, package: str) -> str:
    """Let a module import its like from another package: two models in one application must not share ours."""
    return re.sub(r"^(\s*from )serin\b", rf"\g<1>{package}", text, flags=re.MULTILINE)


def _one_file(version: ModelVersion, code: Mapping[str, tuple[str, bool]], pins: Sequence[str]) -> bytes:
    """Put modules into one script, each as it is."""
    modules = []
    for name, (text, _) in code.items():
        if "'''" in text:
            raise SerinError(f"{name} has ''' in it, within which a script holds it")
        modules.append(f"module(\n    {name!r},\n    r'''{text}''',\n)\n")
    return _SCRIPT.format(which=_which(version), needs=", ".join(pins), modules="\n".join(modules)).encode()


def _which(version: ModelVersion) -> str:
    return f"{version.model}@{version.number}"


def _readme(version: ModelVersion, files: Files, pins: Sequence[str], *lines: str) -> bytes:
    """Say what an export is, and whose rows are in it. A version that its gates rejected says so wherever it goes."""
    baseline = ServingSpec.from_json(files["spec.json"]).baseline
    kept = (
        f"Explanations start from {len(baseline)} rows of the training data, which spec.json holds." if baseline else ""
    )
    failed = [str(gate["gate"]) for gate in version.gates if not gate["passed"]]
    warning = (
        ["", f"REJECTED: this version did not pass its gates: {', '.join(failed)}"] if is_rejected(version) else []
    )
    return "\n".join(
        [
            f"{_which(version)}: {version.chosen}, created {version.created_at}",
            f"model.onnx sha256 {version.files['model.onnx']}",
            f"manifest.json sha256 {version.manifest_sha256}",
            *warning,
            "",
            f"Needs Python 3.11 or newer, {', '.join(pins)}.",
            *(line[0].upper() + line[1:] for line in lines),
            "",
            "spec.json says what a row has, manifest.json where the version comes from and the digest of each file,",
            "golden.json made-up rows with the answers that must come.",
            *([kept] if kept else []),
            "",
        ]
    ).encode()


def is_rejected(version: ModelVersion) -> bool:
    return version.status is VersionStatus.REJECTED


_DOCKERFILE = """\
FROM python:3.13-slim
LABEL serin.model={model} serin.version={version}
WORKDIR /srv
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY serin serin
RUN python -m compileall -q serin
COPY model model
USER 65534
EXPOSE 8080
ENTRYPOINT ["python", "-m", "serin.serving.standalone.server"]
"""

_PACKAGE = '''\
"""What does {which} answer? `predict(rows)` gives one answer for each row, as the endpoint does."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from {package}._serin.errors import BadRequest, InvalidRows, Refused
from {package}._serin.serving.standalone.single import StandaloneVersion

__all__ = ["BadRequest", "InvalidRows", "Refused", "describe", "predict"]


def predict(rows: Any, *, explain: bool = False) -> list[dict[str, Any]]:
    """Answer rows: a DataFrame, a list of dicts, or one dict. explain: say what each feature contributed.

    Of a DataFrame, columns that are no features are left out. Raises InvalidRows, whose `problems` name row and field
    of each; BadRequest where these are no rows; Refused where the model explains nothing.
    """
    return _version().predict(rows, explain=explain)


def describe() -> dict[str, Any]:
    """Say what the model is, and what a row of it has."""
    return _version().describe()


@cache
def _version() -> StandaloneVersion:
    return StandaloneVersion.open(lambda name: files(__name__).joinpath(name).read_bytes())
'''

_SCRIPT = '''\
#!/usr/bin/env python3
"""Answer rows with {which} as its endpoint does: `python predict.py rows.json`, or rows on stdin.

rows.json: [{{"<feature>": <value>, ...}}, ...], one row, or {{"rows": [...]}}.
The golden rows: `python predict.py --check`. Needs {needs},
and the files beside it. Below are the modules of the serving code, each as it is.
"""

import sys
import types
from pathlib import Path


def module(name, source):
    made = types.ModuleType(name)
    sys.modules[name] = made
    exec(compile(source, f"{{__file__}}:{{name}}", "exec"), made.__dict__)
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, made)


{modules}
if __name__ == "__main__":
    sys.exit(sys.modules["serin.serving.standalone.predictor"].main(Path(__file__).resolve().parent))
'''
