"""The lives of projects, builds, deployments and ended sessions."""
