"""The REST API for programs: locates and availability, in the engine's own process."""
