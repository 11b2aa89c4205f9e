"""The console: what people look at and vote on, in a browser. Everything it knows comes from the audit store's catalog
(reading only) and from the decision service, asked as the person who is signed in."""
