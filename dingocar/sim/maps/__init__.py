"""Duckietown maps of our own, as gym-duckietown would read them: duckietown:<name>."""
