"""The child half: what runs in the process of the user's code. Standard library and `perdure` only."""
