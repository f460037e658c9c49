"""What `poisoned_build` wants to change."""
