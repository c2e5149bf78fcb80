"""States of contexts, kept in pages that contexts with the same beginning share. `ContextCache` is the door.

`ContextCache.states(tokens)` is work that returns the states of a context: it takes the longest beginning that is
held, asks for the rest to be read, and keeps that. A page holds 32 tokens and is never changed, so it can be shared;
the pages used longest ago go first when the memory is full (decision 14). The cache is exact: an answer with it is the
answer without it.
"""
