"""Registries in which the file's name is the entry's name.

Adding a pilot, a track or a look is one new file in its folder. Listing reads file names (and the
first docstring line, parsed, not run), so it imports nothing; an entry is imported when it is asked for.
A car folder's own `pilots/`, `tracks/`, `looks/` and `parts/` join in.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from dingocar.errors import DingocarError, UnknownNameError
from dingocar.usercode import import_file

_car_folder: Path | None = None


def use_car_folder(path: Path | str | None) -> None:
    """Lets the registries find entries in the car folder `path` too (None: forget it)."""
    global _car_folder
    _car_folder = None if path is None else Path(path).resolve()


def car_folder() -> Path | None:
    """The car folder in use, or None."""
    return _car_folder


class Registry:
    """The entries of one kind, one file each.

    Args:
        kind: singular word for messages, e.g. `"pilot"`. The car folder's subfolder is its plural.
        package: dotted name of the package whose modules are the entries.
        entry: what to take out of a module: a name (`"build"`), or a base class, and then the one
            subclass of it that the module defines is the entry; None: entries are only listed.
        hidden: module names in the package that are not entries. Names with a leading underscore
            never are.
        recursive: also list subpackages, as `folder/name`.
        in_car: a car folder's own files join in.
        hyphens: names have a hyphen where the file's name has an underscore.
    """

    def __init__(
        self,
        kind: str,
        package: str,
        entry: str | type | None,
        hidden: tuple[str, ...] = (),
        recursive: bool = False,
        in_car: bool = False,
        hyphens: bool = False,
    ) -> None:
        self.kind, self.package, self.entry = kind, package, entry
        self.hidden, self.recursive, self.in_car = frozenset(hidden), recursive, in_car
        self.hyphens = hyphens

    def files(self) -> dict[str, Path]:
        """Maps each entry's name to its file; nothing is imported. A car's own file wins."""
        found: dict[str, Path] = {}
        for folder, hidden in self._folders():
            for path in sorted(folder.glob("**/*.py" if self.recursive else "*.py")):
                name = path.relative_to(folder).with_suffix("").as_posix()
                if name not in hidden and not any(bit.startswith("_") for bit in name.split("/")):
                    found[name.replace("_", "-") if self.hyphens else name] = path
        return found

    def names(self) -> list[str]:
        """The names of all entries, sorted."""
        return sorted(self.files())

    def summaries(self) -> dict[str, str]:
        """Maps each name to the first line of its file's docstring."""
        return {name: _first_doc_line(path) for name, path in sorted(self.files().items())}

    def load(self, name: str) -> Any:
        """Imports the entry `name` and returns it.

        Raises:
            UnknownNameError: there is no such entry; the nearest name is suggested.
            DingocarError: the file does not define what an entry must define.
        """
        files = self.files()
        if name not in files:
            raise UnknownNameError(self.kind, name, files)
        if self.entry is None:
            module_name = f"{self.package}.{name.replace('/', '.')}"
            raise DingocarError(f"a {self.kind} is imported by its module, {module_name}, not by name")
        module = self._import(name, files[name])
        if isinstance(self.entry, str):
            if hasattr(module, self.entry):
                return getattr(module, self.entry)
            raise DingocarError(f"{files[name]}: a {self.kind} file must define {self.entry!r}")
        base = self.entry
        classes = [
            value
            for value in vars(module).values()
            if inspect.isclass(value) and issubclass(value, base) and value is not base
        ]
        own = [value for value in classes if value.__module__ == module.__name__]
        if len(own) != 1:
            raise DingocarError(
                f"{files[name]}: a {self.kind} file must define exactly one subclass of "
                f"{base.__name__}, found {len(own)}"
            )
        return own[0]

    def _folders(self) -> Iterator[tuple[Path, frozenset[str]]]:
        """The folders to look in, and the names in each that are no entries."""
        spec = importlib.util.find_spec(self.package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            yield Path(folder), self.hidden
        own = self._car_subfolder()
        if own is not None and own.is_dir():
            yield own, frozenset()

    def _car_subfolder(self) -> Path | None:
        return _car_folder / f"{self.kind}s" if self.in_car and _car_folder is not None else None

    def _import(self, name: str, path: Path) -> ModuleType:
        name = name.replace("-", "_") if self.hyphens else name
        own = self._car_subfolder()
        if own is None or not path.is_relative_to(own):
            return importlib.import_module(f"{self.package}.{name.replace('/', '.')}")
        # A car's own file is loaded under a name of its own, so that it cannot shadow a package.
        return import_file(path, f"_dingocar_car_{self.kind}s.{name.replace('/', '.')}")


def _first_doc_line(path: Path) -> str:
    try:
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    except (SyntaxError, UnicodeDecodeError) as error:
        return f"(cannot be read: {error.__class__.__name__})"
    return doc.splitlines()[0] if doc else ""
