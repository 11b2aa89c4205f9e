"""The PostgreSQL protocol as an enforcement point sees it: bytes in, bytes and commands out.

No I/O, clock or randomness. `SessionCore` (core.py) is the whole of it; startup.py reads what comes before a session.
"""
