import shutil
import time
from pathlib import Path

import pytest

from dingocar.tub import open_tub
from dingocar.tub.check import check

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
TUBS = {"real_mat": (9815, 5863), "real_warehouse": (1000, 0), "sim_carpet": (3135, 0)}


@pytest.mark.parametrize("name", TUBS)
def test_real_tubs_open_cleanly_and_fast(name):
    if not (DATA / name).is_dir():
        pytest.skip(f"{DATA / name} is not there")
    start = time.perf_counter()
    tub = open_tub(DATA / name)
    elapsed_s = time.perf_counter() - start
    assert (len(tub), len(tub.deleted_indexes)) == TUBS[name]
    assert not tub.problems and elapsed_s < 2  # takes 0.07 s
    for record in tub.records[:: len(tub) // 20]:
        assert record.image().shape == (120, 160, 3) and -1 <= record.steering <= 1


def test_a_real_tub_is_in_order_and_stays_byte_for_byte(tmp_path):
    source = DATA / "real_warehouse"
    if not source.is_dir():
        pytest.skip(f"{source} is not there")
    folder = tmp_path / "tub"
    shutil.copytree(source, folder)
    assert check(folder, fix=True).ok
    before = (folder / "manifest.json").read_bytes()
    tub = open_tub(folder)
    tub.delete([5])
    assert len(open_tub(folder)) == 999
    tub.restore([5])
    assert (folder / "manifest.json").read_bytes() == before
