"""Tubs: folders of records (a picture, a steering, a throttle, ...), in Donkeycar's own format.

>>> from dingocar.tub import TubWriter, open_tub
>>> import tempfile, numpy as np
>>> with tempfile.TemporaryDirectory() as folder:
...     with TubWriter(folder, ["cam/image_array", "user/angle"], ["image_array", "float"]) as writer:
...         index = writer.write({"cam/image_array": np.zeros((4, 4, 3), np.uint8), "user/angle": 0.5})
...     open_tub(folder)[index].steering
0.5
"""

from dingocar.tub.record import Problem, Record
from dingocar.tub.tub import Tub, open_tub
from dingocar.tub.writer import TubWriter

__all__ = ["Problem", "Record", "Tub", "TubWriter", "open_tub"]
