"""Generated stubs and their translation to and from the model."""
