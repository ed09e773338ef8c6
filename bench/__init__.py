"""Measurements, not tests: ``python -m bench`` prints figures and ratios of one run; nothing here asserts a time."""
