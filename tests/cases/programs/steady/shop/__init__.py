"""A package: the entry point is shop/main.py, which imports relatively."""

from .prices import price

__all__ = ["price"]
