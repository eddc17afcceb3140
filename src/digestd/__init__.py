"""digestd: a security team's ingest daemon. Imports nothing, so that every command starts at once."""

__version__ = "0.1.0"
