"""A build of its own: `perdure_rehearsed.py`."""
