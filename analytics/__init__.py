"""Projections of the events, the store, questions, reports and proofs."""
