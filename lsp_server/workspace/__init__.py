"""The workspace as the server keeps it: indexed in idle moments, asked for snippets and drafts."""
