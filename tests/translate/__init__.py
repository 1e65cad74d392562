"""Tests of `dingocar.translate`."""
