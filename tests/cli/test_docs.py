"""The commands that the documents show fit the commands that there are."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dingocar.cli._common import parse

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def commands(path):
    """The words after `dingocar` or `python manage.py` of each line in the shell blocks."""
    for block in re.findall(r"^```sh\n(.*?)^```", path.read_text(), flags=re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:2] == ["python", "manage.py"]:
                yield words[2:]
            elif words[:1] == ["dingocar"]:
                yield words[1:]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_fit(path):
    for words in commands(path):
        name = "_".join(["_sim", words[1]] if words[0] == "sim" else [words[0]]).replace("-", "_")
        doc = importlib.import_module(f"dingocar.cli.{name}").__doc__
        parse(doc, words, f"dingocar {words[0]}")


def test_there_are_such_commands():
    assert sum(len(list(commands(path))) for path in DOCUMENTS) > 50


def test_the_one_table_is_that_of_the_results():
    script = ROOT / "benchmarks" / "one_table.py"
    printed = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert printed.stdout.count("\n") > 40
    assert printed.stdout in (ROOT / "docs" / "results.md").read_text()
