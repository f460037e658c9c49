"""What is recorded: the decision about one callable, the tables that it looks in, and what explains it."""
