"""One module per process of the service: `main(settings)` runs until it is told to stop."""
