"""The manifest `perdure.yaml` and the tarball of a build."""
