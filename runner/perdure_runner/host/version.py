"""The version of the stream between host and coordinator. Raised when an old end could misunderstand a new one."""

PROTOCOL_VERSION = 1
