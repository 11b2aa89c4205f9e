"""The published language of Airlock: frozen values, closed enums, the error tree and the ports.

Everything here is pure and imports the standard library only, so that every other package may import it.
"""
