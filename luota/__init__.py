"""Luota watches scheduled work and never lies by silence."""

from importlib.metadata import version

__version__ = version("luota")
