"""One embedded engine in this process."""
