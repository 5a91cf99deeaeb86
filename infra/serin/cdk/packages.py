"""How does code become a zip that Lambda unpacks: fetched, pruned, compiled and packed, without Docker?"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import metadata
from pathlib import Path

from serin.shipped import LIBRARY, library_files

log = logging.getLogger(__name__)

WITH_THE_RUNTIME = {"boto3", "botocore", "s3transfer", "urllib3"}
PRUNED = [
    ".lock",
    "bin",
    "**/__pycache__",
    "**/tests",
    "**/include",  # headers
    *[f"**/*.{ending}" for ending in ("a", "c", "cc", "cpp", "h", "hpp", "pxd", "pxi", "pyi", "pyx", "tp")],
    "onnx/backend/test",
    # The extension module holds the whole of onnxruntime; what stands beside it serves other languages.
    "onnxruntime/capi/libonnxruntime.so*",
    *[f"onnxruntime/{folder}" for folder in ("quantization", "tools", "transformers")],
    "numpy/distutils",  # builds, on Python 3.11
    "numpy/_core/*_tests.*",
    # Chalice routes by app.py; the rest of it deploys.
    "chalice/*/",
    "chalice/*.json",
    *[f"chalice/{part}.py" for part in ("analyzer", "awsclient", "config", "local", "package", "pipeline", "policy")],
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.min.*",
    # No Flight or S3 from within Arrow; and one copy of a library, under the name linked to.
    *[f"pyarrow/libarrow_{part}.so*" for part in ("flight", "python_flight", "s3")],
    *[f"pyarrow/_{part}.*" for part in ("flight", "s3fs")],
    "pyarrow/libarrow_python.so",
    "pyarrow/libarrow_python.so.*.*",
]
"""What no function opens. Not numpy.f2py (scikit-learn imports it), and nothing is stripped: that breaks OpenBLAS."""

BYTECODE = """
import compileall, pathlib, py_compile, sys
folder, root, *sourceless = sys.argv[1:]
how = {"quiet": 2, "stripdir": folder, "prependdir": root}
how["invalidation_mode"] = py_compile.PycInvalidationMode.UNCHECKED_HASH
for package in filter(pathlib.Path.is_dir, [pathlib.Path(folder, name) for name in sourceless]):
    compileall.compile_dir(package, legacy=True, **how)
    for source in package.rglob("*.py"):
        source.unlink()
compileall.compile_dir(folder, **how)
"""
SOURCELESS = ["pandas", "scipy", "sklearn"]
"""Have bytecode in place of their sources: with both, training would not fit into a function."""


class NoInstaller(Exception):
    """When there is neither uv nor pip to fetch packages with."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A zip, what it was made from, and how large it is once unpacked."""

    zip: Path
    digest: str
    unpacked_bytes: int


@dataclass(frozen=True, slots=True)
class Packer:
    """Packs for one runtime (`python3.13`) and architecture (`x86_64`); keeps what it packed in `store`.

    What is packed again from the same sources, by the same rules, is taken from there.
    """

    runtime: str
    architecture: str
    store: Path

    @property
    def version(self) -> str:
        """The runtime's version of Python, as `3.13`."""
        return self.runtime.removeprefix("python")

    def pack_bundle(self, bundle: Path) -> Packed:
        """Pack a layer of the packages that requirements.txt of the folder locks, transitive ones too, by their hashes.

        requirements.in there names those that functions import, and what is left out.
        """
        locked, named = bundle / "requirements.txt", bundle / "requirements.in"

        def fill(folder: Path) -> None:
            install(locked, folder, version=self.version, architecture=self.architecture)
            prune(folder, without=WITH_THE_RUNTIME | left_out(named))

        content = locked.read_bytes() + named.read_bytes()
        return self._pack(f"bundle-{bundle.name}", content, fill, inside="python", unpacked_at="/opt/python")

    def pack_library(self) -> Packed:
        """Pack a layer of the library."""
        return self._pack_code("library", LIBRARY, library_files(), inside="python", unpacked_at="/opt/python")

    def pack_function(self, folder: Path) -> Packed:
        """Pack the folder of a function."""
        files = [path.relative_to(folder) for path in sorted(folder.rglob("*.py")) if "__pycache__" not in path.parts]
        return self._pack_code(f"function-{folder.name}", folder, files, inside="", unpacked_at="/var/task")

    def _pack_code(self, name: str, source: Path, files: Sequence[Path], *, inside: str, unpacked_at: str) -> Packed:
        digests = [(path, hashlib.sha256((source / path).read_bytes()).hexdigest()) for path in files]
        content = "".join(f"{path} {digest}\n" for path, digest in digests).encode()
        fill = partial(copy_files, source, files)
        return self._pack(name, content, fill, inside=inside, unpacked_at=unpacked_at)

    def _pack(self, name: str, source: bytes, fill: Callable[[Path], None], *, inside: str, unpacked_at: str) -> Packed:
        """Pack what `fill` puts into a folder, with bytecode that names the place where it is unpacked."""
        compiler = interpreter(self.version)
        rules = [self.runtime, self.architecture, unpacked_at, "compiled" if compiler else "not compiled"]
        inputs = [Path(__file__).read_bytes(), *map(str.encode, rules), source]
        digest = hashlib.sha256(b"\0".join(inputs)).hexdigest()
        packed = self.store / f"{name}-{digest[:16]}.zip"
        if not packed.exists():
            self.store.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.store) as scratch:
                folder = Path(scratch) / "content"
                folder.mkdir()
                fill(folder)
                if compiler:
                    command = [compiler, "-c", BYTECODE, str(folder), unpacked_at, *SOURCELESS]
                    subprocess.run(command, check=True)
                write_zip(folder, Path(scratch) / "zip", inside=inside)
                (Path(scratch) / "zip").replace(packed)  # in one step, so that what exists is whole
            log.info("packed %s", name)
            if not compiler:
                log.warning("%s has no bytecode, so it starts slowly: no Python %s here", name, self.version)
        with zipfile.ZipFile(packed) as archive:
            unpacked_bytes = sum(entry.file_size for entry in archive.infolist())
        return Packed(zip=packed, digest=digest, unpacked_bytes=unpacked_bytes)


def copy_files(source: Path, files: Iterable[Path], folder: Path) -> None:
    """Copy files, named below `source`, to the same places below `folder`."""
    for path in files:
        copy = folder / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, copy)


def install(requirements: Path, folder: Path, *, version: str, architecture: str) -> None:
    """Fetch wheels for Lambda's Python and Linux, whatever runs here, by uv where there is one, else by pip."""
    common = ["--quiet", "--target", str(folder), "--only-binary", ":all:", "--python-version", version]
    common += ["--requirement", str(requirements)]
    beside = Path(sys.executable).parent / "uv"
    if uv := (str(beside) if beside.exists() else shutil.which("uv")):
        platform = f"{architecture.replace('arm64', 'aarch64')}-manylinux_2_28"
        command = [uv, "pip", "install", "--link-mode", "copy", "--python-platform", platform, *common]
    elif importlib.util.find_spec("pip"):
        tags = [f"manylinux{tag}_{architecture.replace('arm64', 'aarch64')}" for tag in ("_2_28", "_2_17", "2014")]
        platforms = [word for tag in tags for word in ("--platform", tag)]
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", *platforms, *common]
    else:
        raise NoInstaller("neither uv nor pip is here; `make setup` brings one")
    subprocess.run(command, check=True)


def left_out(requirements: Path) -> set[str]:
    """Read which distributions the file leaves out: `# without: click wheel (reason)`."""
    named = re.findall(r"^# without: ([^(\n]+)", requirements.read_text(), re.MULTILINE)
    return {canonical(name) for names in named for name in names.split()}


def prune(folder: Path, *, without: set[str]) -> None:
    """Take out the distributions in `without`, and of the others what no function opens."""
    for distribution in list(metadata.distributions(path=[str(folder)])):
        if canonical(distribution.name) in without:
            for file in distribution.files or []:
                Path(str(distribution.locate_file(file))).unlink(missing_ok=True)
    for pattern in PRUNED:
        for path in list(folder.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def canonical(name: str) -> str:
    """Spell a distribution's name as its index does."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def interpreter(version: str) -> str | None:
    """Find a Python of this minor version, without fetching one: bytecode is good for one minor version only."""
    candidates = [sys.executable, *filter(None, [shutil.which(f"python{version}")])]
    candidates += map(str, sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python")))
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in candidates:
        answer = subprocess.run([candidate, "-c", question], capture_output=True, text=True, check=False)
        if answer.stdout.strip() == version:  # a shim of pyenv exists for versions that are not installed
            return candidate
    return None


def write_zip(folder: Path, zip_path: Path, *, inside: str) -> None:
    """Zip the folder's content under `inside`, the same bytes for the same content."""
    with zipfile.ZipFile(zip_path, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(str(Path(inside) / path.relative_to(folder)), date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=3)
