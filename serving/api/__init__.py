"""The engine's HTTP API: routes, authentication, and one file for each dialect."""
