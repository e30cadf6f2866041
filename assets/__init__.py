"""Files the program ships: rules, markets, theme, the grid and its scripts."""
