"""The command line: a small file per group of commands, one that renders for people, one that makes JSON documents."""
