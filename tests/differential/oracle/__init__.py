"""PostgreSQL as the oracle of statement analysis: a module in the server reports what each statement really touched.

build       compiles airlock_oracle.c for the PostgreSQL of this machine's packages
script      splits files written for psql
server      a server with the module, sessions that run a statement and keep what was reported
subject     our analysis beside such a session, with the catalog and session state that the service would have
compare     what the server reported, held against the facts
tally       recall, precision and the misses of many comparisons
"""
