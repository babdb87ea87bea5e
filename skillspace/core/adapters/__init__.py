"""Implementations of the ports, one file each, named `<port>_<how>`."""
