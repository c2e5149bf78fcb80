"""Fetches published models and checks their hashes. `command.main` is `quicksilver fetch`; nothing else goes online."""
