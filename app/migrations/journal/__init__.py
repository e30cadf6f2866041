"""Steps of the database of the journal, in order."""
