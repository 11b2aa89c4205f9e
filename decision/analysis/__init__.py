"""SQL text + catalog + session state to Facts; pure."""
