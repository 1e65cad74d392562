"""The live view: one car's world, camera and map from above, in the browser."""

from dingocar.evaluate.view.show import Show

__all__ = ["Show"]
