"""Fixtures of the process tests."""

from support.farm import farm as farm
