"""dingocar: pilots that are trained in simulation and drive in reality.

Parts are wired into a `Vehicle`; a drive is recorded in a tub; pilots of the zoo are trained from tubs.
"""

from pathlib import Path as _Path

__version__ = "0.1.0"

# In a checkout `parts/` and `templates/` lie beside this folder; a wheel holds them inside it. Without this
# line the uninstalled, strict-editable and wheel-run-from-the-checkout modes cannot find them.
_root = _Path(__file__).resolve().parent.parent
if (_root / "setup.py").is_file() and (_root / "parts" / "__init__.py").is_file():
    __path__.append(str(_root))
