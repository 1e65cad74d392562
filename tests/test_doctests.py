"""The examples in docstrings run."""

import doctest
import importlib
import pkgutil

import pytest

import dingocar
import dingocar.parts
import dingocar.templates


def modules():
    for package in (dingocar, dingocar.parts, dingocar.templates):
        prefix = f"{package.__name__}."
        paths = package.__path__[:1] if package is dingocar else package.__path__
        for info in pkgutil.walk_packages(paths, prefix):
            if info.name not in ("dingocar.parts", "dingocar.templates"):
                yield info.name


@pytest.mark.parametrize("name", sorted(set(modules())))
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
