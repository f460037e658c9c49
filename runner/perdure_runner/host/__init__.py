"""The host half: starts, watches and stops runners and relays their messages to the coordinator."""
