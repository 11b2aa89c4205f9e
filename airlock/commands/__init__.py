"""The commands of `airlock`, one module each."""
