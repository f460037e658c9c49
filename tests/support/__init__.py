"""What the scenario suites share: the counted outside world, the fork server and the crash harness."""
