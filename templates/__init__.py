"""Runnable cars, copied by `dingocar createcar`. Import it as `dingocar.templates`."""

from dingocar.registry import Registry

if __name__ != "dingocar.templates":
    raise ImportError("import dingocar.templates, not templates: every class would exist twice")

templates = Registry("template", "dingocar.templates", entry="build")
