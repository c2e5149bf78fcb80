"""Drafts: text that stood at a place like this one. The door is `find_drafts`: a hole, snippets and offers give at
most so many different guesses, the best agreeing first, each with how many characters agree before and after it.
Drafts are never shown unverified: the engine asks the model how likely each is.

Behind it: literal matches (search.py), lines and functions of the same shape with other names (analogies.py,
twins.py). pool.py holds the texts of other files, indexed by what stands left of each place (context_index.py); the
language server asks it for offers. It loads NumPy, so it is no part of the door.
"""

from .search import Draft as Draft
from .search import find_drafts as find_drafts
