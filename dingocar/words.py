"""Wording that messages share."""

import shlex


def counted(number: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "lap"), counted(0, "lap")
    ('1 lap', '0 laps')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"


def quoted(path: object) -> str:
    """A path as a shell takes it, for a command in a message.

    >>> quoted("my tubs/a")
    "'my tubs/a'"
    """
    return shlex.quote(str(path))
