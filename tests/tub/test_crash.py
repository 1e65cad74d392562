import os

import pytest

from tests.tub.tub_crash import crash_test


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_eight_kills(tmp_path):
    assert crash_test(tmp_path, 8, seed=7) > 20
