"""Drafts: text that stood at a place like this one, in this file or in others. `search.find_drafts` is the door."""
