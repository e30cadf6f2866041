"""Heavy reads of the live tables, beside the engine and without its time: one at a time, over HTTP on this machine."""
