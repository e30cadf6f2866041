"""Steps of the database of the master, in order."""
