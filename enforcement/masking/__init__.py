"""Detectors and type-safe masks; pure.

engine      MaskingEngine: what an enforcement point asks for
plan        obligations and the server's description of the columns -> masks by column
methods     method x type x format -> the mask of one column
rows        masks in DataRow messages            (compiled when tools/compile.py has been run)
row_calls   the same, made for the interpreter
copy_text, copy_csv, copy_binary, copy_messages  masks in COPY output                      (compiled likewise)
copy_options  the options of a COPY statement, and what it copies
known       what the catalog says of types
scan        finds values that look like personal data or secrets in opaque text           (compiled likewise)
errors      errors and notices without values
classify    tags for columns by their names and types
"""
