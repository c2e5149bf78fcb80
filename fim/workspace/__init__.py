"""The files of a workspace: which may be read, their index, and the snippets that are chosen for a document."""
