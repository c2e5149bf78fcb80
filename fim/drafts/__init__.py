"""Drafts: text that followed the same characters elsewhere. The door is `find_drafts`: it takes a hole, snippets and
offers, and returns a limited number of different guesses, the best match first, each with how many characters agree
before and after it. Drafts are never shown unverified: the engine asks the model how likely each is.

Behind it: literal matches (search.py), lines and functions of the same shape with other names (analogies.py,
twins.py). pool.py holds the texts of other files, indexed by the text left of each place (context_index.py); the
language server asks it for offers. It imports NumPy, so it is not part of the door.
"""

from .search import Draft as Draft
from .search import find_drafts as find_drafts
