"""A terminal for programs that read single keys and draw: over ssh too, never in the way of the motors."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from dingocar.errors import UsageError
from dingocar.images import Uint8Array

#: What terminals send for keys that are no characters.
SEQUENCES = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1b[C": "right",
    "\x1b[D": "left",
    "\x1bOA": "up",
    "\x1bOB": "down",
    "\x1bOC": "right",
    "\x1bOD": "left",
    "\x1b[5~": "pgup",
    "\x1b[6~": "pgdn",
    "\r": "enter",
    "\n": "enter",
}
#: The other screen, without cursor; and back.
ENTER_SCREEN, LEAVE_SCREEN = "\x1b[?1049h\x1b[?25l\x1b[2J", "\x1b[0m\x1b[?25h\x1b[?1049l"


class Terminal:
    """Raw keys from stdin and whole screens on stdout, as a context; afterwards all is as it was.

    Screens are written by a thread of its own: a terminal that takes nothing any more (Ctrl-S, a radio link
    that has gone) must not hold up the loop that watches over the motors.

    Raises:
        UsageError: stdin or stdout is no terminal.
    """

    def __init__(self) -> None:
        self._in, self._out = -1 if sys.stdin is None else sys.stdin.fileno(), sys.stdout.fileno()
        if self._in < 0 or not (os.isatty(self._in) and os.isatty(self._out)):
            raise UsageError("this command needs a terminal; over ssh: ssh -t user@host")
        self.gone = False
        self._before: list[Any] = []
        self._screen: str | None = None
        self._news = threading.Condition()
        self._painter = threading.Thread(target=self._paint, name="screen", daemon=True)
        self._open = False

    def __enter__(self) -> Terminal:
        import termios
        import tty

        self._before = termios.tcgetattr(self._in)
        tty.setcbreak(self._in, termios.TCSANOW)
        self._open = True
        self._painter.start()
        self._put(ENTER_SCREEN)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        import termios

        with self._news:
            self._open, self._screen = False, LEAVE_SCREEN
            self._news.notify()
        # A terminal that takes nothing gets it when it takes something again.
        self._painter.join(0.5)
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(self._in, termios.TCSANOW, self._before)

    def keys(self, timeout_s: float) -> list[str]:
        """Waits for keys no longer than `timeout_s`: characters, or `up`, `pgdn`, `enter`, ...

        `gone` is set when the terminal is gone.
        """
        if self.gone or not select.select([self._in], [], [], timeout_s)[0]:
            return []
        try:
            data = os.read(self._in, 1024)
        except OSError:  # EIO: the other end has been closed
            data = b""
        self.gone = not data
        return split_keys(data.decode(errors="replace"))

    def size(self) -> tuple[int, int]:
        """(columns, rows)."""
        try:
            columns, rows = os.get_terminal_size(self._out)
            return columns, rows
        except OSError:
            return 80, 24

    def show(self, lines: Sequence[str], image: Uint8Array | None = None) -> None:
        """Shows text, and below it a picture as large as fits. Returns at once."""
        columns, rows = self.size()
        screen = "\x1b[H" + "".join(f"{line[: columns - 1]}\x1b[K\r\n" for line in lines)
        if image is not None:
            screen += half_blocks(image, columns - 1, rows - len(lines) - 1)
        self._put(screen + "\x1b[0m\x1b[J")

    def _put(self, screen: str) -> None:
        with self._news:
            # What the painter has not shown yet is out of date, except for the way into the other screen.
            entering = self._screen is not None and self._screen.startswith(ENTER_SCREEN)
            self._screen = (ENTER_SCREEN if entering else "") + screen
            self._news.notify()

    def _paint(self) -> None:
        while True:
            with self._news:
                while self._screen is None and self._open:
                    self._news.wait()
                if self._screen is None:
                    return
                screen, self._screen = self._screen, None
            self._write(screen)

    def _write(self, text: str) -> None:
        data = text.encode()
        try:
            while data:
                data = data[os.write(self._out, data) :]
        except OSError:
            self.gone = True


def split_keys(text: str) -> list[str]:
    """The keys in what a terminal sent.

    >>> split_keys("a+\\x1b[A\\x1b[6~\\x1b")
    ['a', '+', 'up', 'pgdn', 'esc']
    """
    found = []
    while text:
        sequence = next((known for known in SEQUENCES if text.startswith(known)), None)
        if sequence:
            found.append(SEQUENCES[sequence])
        elif text.startswith("\x1b["):  # one we do not know: up to its last character
            end = next((n for n, character in enumerate(text[2:], 2) if "@" <= character <= "~"), len(text))
            sequence = text[: end + 1]
        else:
            sequence = text[0]
            found.append("esc" if sequence == "\x1b" else sequence)
        text = text[len(sequence) :]
    return found


def half_blocks(image: Uint8Array, columns: int, rows: int, most_columns: int = 64) -> str:
    """A picture as text: each character shows two pixels, the upper in front, the lower behind.

    Args:
        image: uint8 (H, W, 3) RGB.
        columns, rows: what it must fit into.
        most_columns: so that it is quick over ssh.

    Returns:
        Lines with ANSI truecolour codes; "" where there is no room.

    >>> half_blocks(np.zeros((2, 1, 3), np.uint8), 1, 1)
    '\\x1b[38;2;0;0;0;48;2;0;0;0m▀\\x1b[0m\\r\\n'
    """
    height, width = image.shape[:2]
    scale = min(min(columns, most_columns) / width, 2 * rows / height)
    wide, high = int(width * scale), int(height * scale / 2)
    if wide < 1 or high < 1:
        return ""
    small = np.asarray(Image.fromarray(image).resize((wide, 2 * high), Image.Resampling.BOX))
    lines = []
    for upper, lower in zip(small[::2].tolist(), small[1::2].tolist(), strict=True):
        cells, last = [], ""
        for (r, g, b), (r2, g2, b2) in zip(upper, lower, strict=True):
            colours = f"\x1b[38;2;{r};{g};{b};48;2;{r2};{g2};{b2}m"
            cells.append("▀" if colours == last else colours + "▀")
            last = colours
        lines.append("".join(cells) + "\x1b[0m\r\n")
    return "".join(lines)
