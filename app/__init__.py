"""Wiring: command line, settings, processes, servers, storage and the REST API."""
