"""Steps of what people arrange for themselves, in order."""
