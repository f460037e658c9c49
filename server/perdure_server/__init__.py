"""The coordinator, its store, its services and the command line."""
