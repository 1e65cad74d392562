"""Writing into a tub whether its pictures are simulated or real."""

import json

import pytest

from dingocar.cli.main import main
from dingocar.errors import TubError, UnknownNameError
from dingocar.tub import TubWriter, open_tub
from dingocar.tub.check import check
from dingocar.tub.domain import set_domain
from tests.tub.helpers import edit_catalog, files, make_legacy, make_tub


def flag(folder, values):
    """Gives the records their own word."""

    def change(lines):
        fields = [json.loads(line) for line in lines]
        return [
            json.dumps({**each, "is-simulated": values[each["_index"]]}).encode() + b"\n" for each in fields
        ]

    edit_catalog(folder, change)


def test_the_manifest_is_the_one_the_writer_would_have_written(tmp_path):
    words = {"location": "garage", "n": 3}
    tub = make_tub(tmp_path / "a", 10, metadata=words)
    open_tub(tub).delete([2])
    before = files(tub)
    assert set_domain(tub, "real").domain == open_tub(tub).domain == "real"
    after = files(tub)
    assert [path.name for path in after if after[path] != before.get(path)] == ["manifest.json"]
    old, new = (each[tub / "manifest.json"].split(b"\n") for each in (before, after))
    assert [i for i in range(len(old)) if old[i] != new[i]] == [2] and len(old) == len(new)
    other = make_tub(tmp_path / "b", 10, metadata={**words, "domain": "real"})
    assert (other / "manifest.json").read_bytes().split(b"\n")[2] == new[2]
    assert check(tub).ok and open_tub(tub).deleted_indexes == {2}
    make_tub(tub, 3, first=10, metadata={"domain": "real"})  # and recording goes on
    assert len(open_tub(tub)) == 12


def test_a_known_domain_is_changed_by_force_alone(tmp_path):
    tub = make_tub(tmp_path / "a", 3, metadata={"domain": "sim"})
    set_domain(tub, "sim")
    with pytest.raises(TubError, match=r"says that it is 'sim'; add --force if it is 'real' all the same"):
        set_domain(tub, "real")
    assert open_tub(tub).domain == "sim"
    assert set_domain(tub, "real", force=True).domain == "real"


def test_what_records_say_themselves_counts(tmp_path):
    tub = make_tub(tmp_path / "a", 3)
    flag(tub, [True, False, None])
    for force in (False, True):
        with pytest.raises(TubError, match="1 record of 3 say themselves"):
            set_domain(tub, "sim", force)
    assert open_tub(tub).domain is None
    flag(tub, [True, True, None])
    assert set_domain(tub, "sim").domain == "sim"


def test_an_old_tub_says_it_in_its_meta_json(tmp_path):
    tub = make_legacy(tmp_path / "a")
    assert set_domain(tub, "real").domain == "real"
    meta = json.loads((tub / "meta.json").read_text())
    assert (meta["location"], meta["domain"], meta["start"]) == ("garage", "real", 1600000000.0)
    with pytest.raises(TubError, match="--force"):
        set_domain(tub, "sim")
    (tub / "meta.json").unlink()
    with pytest.raises(TubError, match=r"meta\.json: is missing, so there is no place"):
        set_domain(tub, "sim")
    (tub / "meta.json").write_text("[]")
    with pytest.raises(TubError, match=r"meta\.json: cannot be read"):
        set_domain(tub, "sim")


def test_nothing_is_written_where_it_cannot_be_done_well(tmp_path):
    tub = make_tub(tmp_path / "a", 3)
    with pytest.raises(UnknownNameError, match="unknown domain 'reel'; did you mean 'real'"):
        set_domain(tub, "reel")
    with TubWriter(tub), pytest.raises(TubError, match="somebody else is writing"):
        set_domain(tub, "real")
    (tub / "manifest.json").write_text("[]\n")
    with pytest.raises(TubError, match=r"run dingocar tub check .* --fix first"):
        set_domain(tub, "real")
    with pytest.raises(TubError, match="no such folder"):
        set_domain(tmp_path / "nothing", "real")


def test_the_command(tmp_path, capsys):
    tub = str(make_tub(tmp_path / "a", 3))
    assert main(["tub", "domain", tub, "real", "--json"]) == 0
    told = {"path": tub, "records": 3, "domain": "real", "before": None}
    assert json.loads(capsys.readouterr().out) == told
    assert main(["tub", "domain", tub, "sim"]) == 2
    assert "add --force" in capsys.readouterr().err
    assert main(["tub", "domain", tub, "sim", "--force"]) == 0
    assert capsys.readouterr().out == f"{tub}: 3 records, simulated (was real)\n"
    assert main(["tub", "domain", tub, "both"]) == 2
    assert "unknown domain 'both'; known: real, sim" in capsys.readouterr().err
