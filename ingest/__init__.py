"""Events from the journal to where they are folded."""
