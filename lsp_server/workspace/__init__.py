"""The workspace as the server keeps it. The door is `Workspace`: it is told of documents and files, and asked for the
snippets and offers of a place; each call returns at once, with what was chosen or indexed up to then.

Behind it one background thread (idle_thread.py) works in units of a few milliseconds, and rests while a person types
or waits: it walks and indexes (indexer.py), chooses snippets anew at a jump or in a pause (service.py), and keeps the
texts that drafts come from (cross_file_drafts.py).
"""

from .service import Workspace as Workspace
