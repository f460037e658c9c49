"""What holds a runner: namespaces, a private root, limits and a filter of system calls. docs/explanation/isolation.md.

Standard library and ctypes only; everything here runs in a zygote or in a fresh fork of it, before user code.
"""
