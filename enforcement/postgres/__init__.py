"""The enforcement point that speaks PostgreSQL's protocol."""
