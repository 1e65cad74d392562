"""Domain adaptation: methods that teach a pilot, while it is trained, not to tell simulated from real.

Each file is one method and its name is the method's name. A method adds losses on the features of pictures of
both domains; the pilot that drives holds none of it. Importing this package loads no keras.
"""

from __future__ import annotations

from dingocar.adapt._method import LossSettings, Method, MethodSettings
from dingocar.registry import Registry

__all__ = ["LossSettings", "Method", "MethodSettings", "methods"]

#: Every method, by name; a car folder's `methods/*.py` join in.
methods = Registry("method", "dingocar.adapt", entry=Method, in_car=True, hidden=("probes",))
