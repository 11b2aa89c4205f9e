"""From a credential to the principal that it proves."""
