"""The files of a workspace, and the snippets that are chosen from them. The doors are `snippets.select`, which chooses
for a place in a document, and `snippet_policy.SnippetPolicy`, which says when a choice is due. Which files may be read
at all is decided in files.py (secrets, links, ignore files: ignore_rules.py), and asked again at each read.

Behind them: an index of words and lines in SQLite (index.py, chunks.py), imports and the declarations that they lead
to (imports.py, imported_names.py, declarations.py, sources.py), and where a person worked lately (recent_chunks.py).
Nothing is exported here: `select` loads SQLite and all grammars, and the policy is needed before.
"""
