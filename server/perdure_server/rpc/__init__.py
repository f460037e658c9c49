"""gRPC services: the hosts' stream and the control service."""
