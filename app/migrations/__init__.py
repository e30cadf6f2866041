"""Versions of the databases, a folder each: every step is a file `vNNNN_what.py` after the newest, and never changed again."""
