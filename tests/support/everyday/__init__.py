"""What everyday tools really send: run against the demo shop, taken from the server's log.

Each source is a function that takes a DSN and runs a tool, a driver or an ORM; `recorded` gives what the server got
from it, session by session. Only what introspection.py sends is written out, in our own words; all others are what the
tools themselves send, so that a newer version of a tool is tested by installing it.
"""
