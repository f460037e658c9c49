"""Migrations, in order. Each changes the schema in a way that the version before it still understands."""
