"""The version of the whole distribution; the build backend reads it here."""

__version__ = "0.1.0"
