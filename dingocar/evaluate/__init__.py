"""How well a pilot drives, judged by driving."""

from dingocar.evaluate.drive import Driver, DriveResult, evaluate, pilot_driver
from dingocar.evaluate.statistics import wilson_interval

__all__ = ["DriveResult", "Driver", "evaluate", "pilot_driver", "wilson_interval"]
