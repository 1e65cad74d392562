"""Coverage-guided fuzzing (atheris) of what strangers' bytes reach first: messages, ranges, the guard.

    python -m tests.fuzz.fuzz_protocol [-max_total_time=SECONDS] [-seed=N]

Ends with an error and a file `crash-...` when something other than a refusal comes out.
"""

import json
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["dingocar.parts.controllers.web", "tests.fuzz.properties"]):
    from tests.fuzz.properties import check_bytes

from tests.fuzz.junk import HEADERS, MESSAGES, PATHS, VALUES

SEEDS = [
    *(json.dumps(message) for message in MESSAGES),
    *(json.dumps({"ranges": ranges}) for ranges in ([], [[0, 5]], [[1, 2], [7, 7]])),
    *(f"localhost\0http://localhost\0dingocar_token=x; a=b\0cross-site\0{path}" for path in PATHS),
]
WORDS = {word for message in MESSAGES for pair in message.items() for word in map(str, pair)}


def corpus(folder: Path) -> list[str]:
    """Writes seeds and words; returns the arguments that name them."""
    (folder / "seeds").mkdir()
    for number, seed in enumerate(SEEDS):
        (folder / "seeds" / str(number)).write_bytes(seed.encode("utf-8", "replace"))
    words = {*WORDS, *VALUES, *HEADERS, "token", "ranges"}
    lines = ["".join(f"\\x{byte:02x}" for byte in word.encode("utf-8", "replace")) for word in words]
    (folder / "words").write_text("".join(f'"{line}"\n' for line in lines if len(line) < 400))
    return [str(folder / "seeds"), f"-dict={folder / 'words'}"]


if __name__ == "__main__":
    temporary = Path(tempfile.mkdtemp(prefix="dingocar-fuzz-"))
    atheris.Setup([*sys.argv, *corpus(temporary)], check_bytes)
    atheris.Fuzz()
