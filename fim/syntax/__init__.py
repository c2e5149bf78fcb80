"""What the syntax tree says of a place. The door is `parse`: it takes a text, its language and the tree of the version
before, and returns a `Syntax`, in a millisecond or two per key, or None if there is no grammar or the text takes too
long. Broken code has a tree, too; for a long text the tree covers the lines around the cursor.

Behind it: whether a place is a literal, a comment or code (literals.py), which block a line opens and where it ends
(blocks.py, block_words.py), and the names of nodes in each language (grammars.py, kinds.py). Without a tree they read
lines.
"""

from .tree import Syntax as Syntax
from .tree import parse as parse
