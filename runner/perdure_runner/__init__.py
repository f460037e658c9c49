"""Runners: the child half runs in the user's process, the host half starts, watches and relays for it."""
