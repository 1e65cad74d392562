import json

import pytest

from dingocar.cli.tub import parse_ranges, run
from dingocar.errors import TubError, UsageError
from dingocar.tub import open_tub
from tests.tub.helpers import make_tub


@pytest.fixture
def tub(tmp_path):
    return str(make_tub(tmp_path / "tub", 10))


def output(capsys):
    return json.loads(capsys.readouterr().out)


def test_info(tub, capsys):
    assert run(["tub", "info", tub]) == 0
    assert "10 live, 0 deleted" in capsys.readouterr().out
    assert run(["tub", "info", tub, "--json"]) == 0
    assert output(capsys)["records"] == 10


def test_check(tub, capsys):
    assert run(["tub", "check", tub]) == 0
    assert "in order" in capsys.readouterr().out
    (open_tub(tub)[3].image_path()).unlink()
    assert run(["tub", "check", tub]) == 1
    assert "record 3" in capsys.readouterr().out
    assert run(["tub", "check", tub, "--json"]) == 1
    assert output(capsys)["problems"][0]["kind"] == "picture"
    assert run(["tub", "check", tub, "--fix", "--json"]) == 0
    assert output(capsys)["records"] == 9


def test_delete_restore_clean(tub, capsys):
    assert run(["tub", "delete", tub, "2,4-6,9-999"]) == 0
    assert "deleted 5 records; 5 live" in capsys.readouterr().out
    assert run(["tub", "restore", tub, "2", "--json"]) == 0
    assert output(capsys) == {"path": tub, "changed": 1, "records": 6, "deleted": 4}
    assert run(["tub", "clean", tub]) == 0
    assert "would remove 4 pictures" in capsys.readouterr().out
    assert run(["tub", "clean", tub, "--yes", "--json"]) == 0
    assert output(capsys)["files"] == 4
    assert run(["tub", "check", tub]) == 0


def test_mistakes(tub, tmp_path):
    for wrong in ("x", "5-3", "", "1;2"):
        with pytest.raises(UsageError, match="RECORDS"):
            parse_ranges(wrong, 10)
    with pytest.raises(UsageError, match="none of"):
        run(["tub", "delete", tub, "500"])
    with pytest.raises(UsageError):
        run(["tub", "explode", tub])
    with pytest.raises(TubError, match="no such folder"):
        run(["tub", "info", str(tmp_path / "nothing")])
