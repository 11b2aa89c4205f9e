"""The bundled demo: a PostgreSQL server, the shop database and a story played against it."""
