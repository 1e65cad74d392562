"""Wording that messages share."""


def counted(number: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "lap"), counted(0, "lap")
    ('1 lap', '0 laps')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"
