"""The manifest `perdure.yaml`, the tarball of a build, and what a project's files define."""
