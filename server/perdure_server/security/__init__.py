"""Who may ask what: tokens of clients, certificates of hosts, and the authority that signs them."""
