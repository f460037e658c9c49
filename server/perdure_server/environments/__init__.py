"""What a project requires: read from its files, resolved once with uv, kept as a lock that hosts install."""
