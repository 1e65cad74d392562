"""Everything one adds to a vehicle. Import it as `dingocar.parts`."""

from dingocar.registry import Registry

if __name__ != "dingocar.parts":
    raise ImportError("import dingocar.parts, not parts: every class would exist twice")

parts = Registry("part", "dingocar.parts", entry=None, recursive=True, in_car=True)
