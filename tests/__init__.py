"""Tests, by what they ask of the machine: unit, contract, property, differential, fault, e2e, docs."""
