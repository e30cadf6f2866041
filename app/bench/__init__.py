"""One module per benchmark: `run(args) -> dict` with keys named by their unit."""
