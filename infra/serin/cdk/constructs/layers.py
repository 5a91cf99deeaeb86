"""Which code does a function carry? Its own folder, the library, the contracts and one bundle of packages."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from serin.cdk.environment import Environment
from serin.cdk.packages import Packed, Packer, copy_files
from serin.shipped import LIBRARY, library_files, shipped

LIMIT_MB = 250  # of 2**20 bytes: a function's own code and all its layers, unpacked
NOT_CODE = ["__pycache__/", "*.pyc", ".*/"]


class TooLarge(Exception):
    """When a function and its layers, unpacked, are past what Lambda takes."""


class Layers(Construct):
    """The code of the functions, and the layers that they share: `serin`, `models`, and one for each bundle.

    Where the environment bundles, code is packed with bytecode; where it does not, or the synthesis is
    told to skip bundling, folders go as they are.
    """

    def __init__(self, scope: Construct, id: str, *, project: Path, environment: Environment) -> None:
        super().__init__(scope, id)
        self._project = project
        self._environment = environment
        self._packer: Packer | None = None
        if environment.bundle and cdk.Stack.of(self).bundling_required:
            self._packer = Packer(
                runtime=environment.runtime,
                architecture=environment.architecture,
                store=project / "build" / "packages",
            )
        self._unpacked_bytes: dict[str, int] = {}
        self._made: dict[str, lambda_.LayerVersion] = {}

    def code_of(self, function: str) -> lambda_.Code:
        """Take a function's own folder."""
        folder = shipped("functions") / function
        return self._code(function, self._packer.pack_function(folder) if self._packer else None, folder)

    def of(self, function: str, *, bundle: str, with_models: bool) -> list[lambda_.LayerVersion]:
        """List what a function imports besides its own folder. Raises TooLarge."""
        layers = [self._library()]
        if with_models:
            layers.append(self._models())
        if self._environment.bundle:
            layers.append(self._bundle(bundle))
        self._check_size(function, "serin", *["models"] * with_models, bundle)
        return layers

    def _library(self) -> lambda_.LayerVersion:
        if "serin" not in self._made:
            packed = self._packer.pack_library() if self._packer else None
            with TemporaryDirectory() as scratch:
                if packed is None:
                    copy_files(LIBRARY, library_files(), Path(scratch) / "python")
                self._made["serin"] = self._layer("serin", self._code("serin", packed, Path(scratch)))
        return self._made["serin"]

    def _models(self) -> lambda_.LayerVersion:
        if "models" not in self._made:
            only_models = ["/*", "!/models/", *NOT_CODE]  # of the project's folder, so that it is /opt/models
            code = lambda_.Code.from_asset(str(self._project), exclude=only_models, ignore_mode=cdk.IgnoreMode.GIT)
            self._made["models"] = self._layer("models", code)
            files = (path for path in (self._project / "models").rglob("*") if path.is_file())
            self._unpacked_bytes["models"] = sum(path.stat().st_size for path in files)
        return self._made["models"]

    def _bundle(self, bundle: str) -> lambda_.LayerVersion:
        if bundle not in self._made:
            folder = shipped("layers") / bundle
            packed = self._packer.pack_bundle(folder) if self._packer else None
            self._made[bundle] = self._layer(bundle, self._code(bundle, packed, folder))
        return self._made[bundle]

    def _code(self, name: str, packed: Packed | None, folder: Path) -> lambda_.Code:
        if packed is None:
            return lambda_.Code.from_asset(str(folder), exclude=NOT_CODE, ignore_mode=cdk.IgnoreMode.GIT)
        self._unpacked_bytes[name] = packed.unpacked_bytes
        return lambda_.Code.from_asset(str(packed.zip), asset_hash=packed.digest)

    def _layer(self, name: str, code: lambda_.Code) -> lambda_.LayerVersion:
        return lambda_.LayerVersion(
            self,
            name.capitalize(),
            layer_version_name=self._environment.named(name),
            code=code,
            compatible_runtimes=[lambda_.Runtime(self._environment.runtime, lambda_.RuntimeFamily.PYTHON)],
            compatible_architectures=[lambda_.Architecture.custom(self._environment.architecture)],
        )

    def _check_size(self, *parts: str) -> None:
        megabytes = {part: self._unpacked_bytes.get(part, 0) / 2**20 for part in parts}
        if sum(megabytes.values()) > LIMIT_MB:
            sizes = ", ".join(f"{part} {size:.1f}" for part, size in megabytes.items())
            raise TooLarge(
                f"{parts[0]}, unpacked, takes {sum(megabytes.values()):.1f} MB ({sizes}); Lambda takes {LIMIT_MB}. "
                f"Leave out packages in layers/, or give what needs them a function of its own."
            )
