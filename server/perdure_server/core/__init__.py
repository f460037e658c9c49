"""Pure decisions: states, transitions, errors. No I/O of any kind."""
