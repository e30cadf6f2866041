"""Panel components of our own."""
