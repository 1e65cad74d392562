"""How well a pilot drives: judged by driving, and beside the driver of a recording.

`dingocar.evaluate.offline` needs the train extra, so it is imported by itself.
"""

from dingocar.evaluate.drive import Driver, DriveResult, evaluate, pilot_driver
from dingocar.evaluate.statistics import wilson_interval

__all__ = ["DriveResult", "Driver", "evaluate", "pilot_driver", "wilson_interval"]
