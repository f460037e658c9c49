"""The session engine: places sessions on hosts, commits their records, wakes and stops them."""
