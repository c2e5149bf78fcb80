"""The engine's client, for every front end: starts the shared process, asks it, ends it. Never imports torch."""
