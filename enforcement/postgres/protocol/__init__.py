"""The protocol core, sans I/O: bytes in, events and bytes out."""
