"""What is kept: journal, sessions, builds, logs, blobs."""
