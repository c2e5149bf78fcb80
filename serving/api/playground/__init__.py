"""The playground: a page that shows how a hole is filled, step by step, beside the same hole written left to right.

`pages` serves the page's files, which hold no secrets; `fill` answers the page's questions inside the engine. `gateway`
is what `quicksilver playground` runs: it serves the same page on a port of its own and hands questions on to the
engine, for pages that have exchanged a one-time code (`sessions`).
"""
