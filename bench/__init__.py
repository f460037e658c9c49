"""The benchmark: every figure beside the floor it stands on, measured in the same run. See docs/how-to/measure.md."""
