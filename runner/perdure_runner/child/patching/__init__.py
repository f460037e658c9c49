"""How calls of user code get sites: import hook, rewriting of syntax trees, the sites in C and in Python."""
