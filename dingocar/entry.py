"""What pilots, methods and translators have in common: a file of their own, a name, and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from dingocar.errors import DingocarError
from dingocar.settings import read_settings


class Entry:
    """One file defines one subclass; the file's name is the entry's name (see `dingocar.registry`).

    Args:
        settings: an instance of `settings_type`; None takes the defaults.

    Attributes:
        kind: what to call one in messages, e.g. "pilot".
        settings_type: a frozen dataclass, all with defaults.
        error: raised where settings are wrong.

    Raises:
        DingocarError: `error`, where the settings are of another type.
    """

    kind: ClassVar[str]
    settings_type: ClassVar[type[Any]]
    error: ClassVar[type[DingocarError]]

    def __init__(self, settings: Any = None) -> None:
        settings = self.settings_type() if settings is None else settings
        if not isinstance(settings, self.settings_type):
            raise self.error(
                f"{self.kind} {self.name}: expected settings of type {self.settings_type.__name__}, "
                f"got {type(settings).__name__}"
            )
        self.settings = settings

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Makes the entry from plain settings, as an artefact's card and the command line have them.

        Raises:
            UnknownNameError: there is no such setting; the nearest one is suggested.
            DingocarError: `error`, where a value has the wrong type or is out of range.
        """
        return cls(read_settings(cls.settings_type, settings, f"{cls.kind} setting", cls.error))

    @property
    def name(self) -> str:
        """Its name: its file's."""
        return type(self).__module__.rpartition(".")[2]
