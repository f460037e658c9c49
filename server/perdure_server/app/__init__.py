"""Composition: how the parts become an embedded engine or a server."""
