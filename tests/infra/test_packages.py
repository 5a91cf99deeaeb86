"""Does each function carry what it imports, in the versions that were tested, and no more than fits?"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from serin import shipped
from serin.cdk import code_digest, packages
from serin.cdk.app import SerinApp, read_context
from serin.cdk.constructs import layers
from serin.cdk.constructs.layers import TooLarge
from serin.cdk.packages import Packer, canonical, left_out, prune
from tests.infra.conftest import Synthesised
from tests.infra.only_bundle import requirements_of, with_dependencies

MOST_SERVING_BYTES = 90 * 10**6  # what a cold start has to fetch

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = sorted(file.parent.name for file in (ROOT / "layers").glob("*/requirements.in"))
FUNCTIONS = sorted(file.parent.name for file in (ROOT / "functions").glob("*/handler.py"))


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_bundle_pins_what_is_tested_here(bundle: str) -> None:
    here = {needed.name: needed for needed in requirements_of(ROOT / "requirements.txt")}
    for needed in requirements_of(ROOT / "layers" / bundle / "requirements.in"):
        assert (here[needed.name].name, here[needed.name].specifier) == (needed.name, needed.specifier)


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_bundle_is_locked_by_hashes_with_all_that_it_requires(bundle: str) -> None:
    """Renewed by `make lock`."""
    folder = ROOT / "layers" / bundle
    entries = re.findall(
        r"^(\S+==\S+)((?: \\\n {4}--hash=sha256:[0-9a-f]{64})+)$", (folder / "requirements.txt").read_text(), re.M
    )
    locked = {needed.name: needed for needed in (Requirement(entry) for entry, _ in entries)}
    named = list(requirements_of(folder / "requirements.in"))
    for needed in named:
        assert locked[canonical(needed.name)].specifier == needed.specifier
    markers_differ = {"colorama", "tzdata"}  # of Windows
    assert with_dependencies(named) - markers_differ <= locked.keys()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_imports_only_what_its_bundle_has(synthesised: dict[str, Synthesised], function: str) -> None:
    bundle = ROOT / "layers" / bundle_of(synthesised["prod"], function)
    done = imported(ROOT / "functions" / function, bundle)
    assert done.returncode == 0, done.stderr


def test_a_function_that_imports_more_than_its_bundle_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("def handler(event, context):\n    import serin.training.train\n")
    done = imported(tmp_path, ROOT / "layers" / "base")
    assert "is not in the bundle" in done.stderr


def imported(function: Path, bundle: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.infra.only_bundle", str(function), str(bundle)]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "POWERTOOLS_TRACE_DISABLED": "true"}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)


def bundle_of(each: Synthesised, function: str) -> str:
    """Read from the template which bundle a function has."""
    layers = [each.service["Resources"][layer["Ref"]] for layer in each.function(function)["Layers"]]
    names = {layer["Properties"]["LayerName"].removeprefix(f"serin-{each.environment}-") for layer in layers}
    (bundle,) = names - {"serin", "models"}
    return str(bundle)


def test_our_own_code_is_packed_once_and_the_same_each_time(tmp_path: Path) -> None:
    folder = tmp_path / "greet"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "handler.py").write_text("def handler(event, context):\n    return 'hello'\n")
    (folder / "__pycache__" / "stale.py").write_text("stale = True\n")
    here = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packed = [Packer(here, "x86_64", tmp_path / store).pack_function(folder) for store in ("a", "a", "b")]
    assert packed[0] == packed[1]
    assert packed[0].digest == packed[2].digest
    assert packed[0].zip.read_bytes() == packed[2].zip.read_bytes()
    with zipfile.ZipFile(packed[0].zip) as archive:
        tag = sys.implementation.cache_tag
        assert archive.namelist() == [f"__pycache__/handler.{tag}.pyc", "handler.py"]
        bytecode = archive.read(f"__pycache__/handler.{tag}.pyc")
    assert bytecode[4] == 1  # by hash, unchecked: PEP 552
    (folder / "handler.py").write_text("def handler(event, context):\n    return 'good day'\n")
    assert Packer(here, "x86_64", tmp_path / "a").pack_function(folder).digest != packed[0].digest


def test_without_an_interpreter_of_the_runtime_code_is_packed_without_bytecode(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "greet").mkdir()
    (tmp_path / "greet" / "handler.py").write_text("handler = None\n")
    packed = Packer("python3.99", "x86_64", tmp_path / "store").pack_function(tmp_path / "greet")
    assert zipfile.ZipFile(packed.zip).namelist() == ["handler.py"]
    assert "no Python 3.99 here" in caplog.text


def test_what_no_function_opens_is_pruned(tmp_path: Path) -> None:
    for name in ("numpy/f2py/crackfortran.py", "numpy/tests/test_a.py", "numpy/a.pyi", "bin/f2py", "click/core.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    notes = tmp_path / "click-8.0.dist-info"
    notes.mkdir()
    (notes / "METADATA").write_text("Metadata-Version: 2.1\nName: Click\nVersion: 8.0\n")
    (notes / "RECORD").write_text("click/core.py,,\nclick-8.0.dist-info/METADATA,,\nclick-8.0.dist-info/RECORD,,\n")
    prune(tmp_path, without={"click"})
    assert [str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*") if f.is_file()] == ["numpy/f2py/crackfortran.py"]


def test_what_is_left_out_is_said_in_the_requirements() -> None:
    without = left_out(ROOT / "layers" / "serving" / "requirements.in")
    assert {"pip", "pyyaml", "protobuf"} <= without
    assert left_out(ROOT / "layers" / "base" / "requirements.in") == set()


def test_what_serves_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "install", copy_installed)
    here = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packed = Packer(here, "x86_64", tmp_path).pack_bundle(ROOT / "layers" / "serving")
    assert MOST_SERVING_BYTES / 2 < packed.unpacked_bytes <= MOST_SERVING_BYTES


def copy_installed(requirements: Path, folder: Path, **_: Any) -> None:
    """Take the packages that are installed here, which are those that a bundle pins, rather than fetch them."""
    for name in with_dependencies(list(requirements_of(requirements.with_suffix(".in")))):
        for file in metadata.files(name) or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), folder / file)


def test_a_function_past_lambdas_limit_is_refused_with_its_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "LIMIT_MB", 0.001)
    settings = {**read_context(ROOT), "env": "dev", "aws:cdk:bundling-stacks": []}
    with pytest.raises(TooLarge, match=r"(\w+), unpacked, takes .* MB \(\1 .*, models .*\)"):
        SerinApp(ROOT, context=settings, outdir=str(tmp_path))


def test_the_digest_follows_the_library_and_the_packages_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, pins = tmp_path / "serin", tmp_path / "layers" / "training" / "requirements.txt"
    for folder in (library / "cli", pins.parent):
        folder.mkdir(parents=True)
    monkeypatch.setattr(shipped, "LIBRARY", tmp_path)
    monkeypatch.setattr(code_digest, "LIBRARY", tmp_path)
    monkeypatch.setattr(code_digest, "shipped", tmp_path.joinpath)
    digests = []
    for code, pin in (("a = 1", "numpy==1"), ("a = 2", "numpy==1"), ("a = 1", "numpy==2"), ("a = 1", "numpy==1")):
        (library / "train.py").write_text(code)
        (library / "cli" / "main.py").write_text(f"digests = {len(digests)}")  # no function imports it
        pins.write_text(pin)
        digests.append(code_digest.code_digest())
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]
