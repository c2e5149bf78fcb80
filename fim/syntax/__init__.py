"""What the syntax tree says of a place. The door is `parse`: a text, its language and the tree of the version before
give a `Syntax`, in a millisecond or two a key, or None where there is no grammar or the text takes too long. There is
always a tree, however broken the code is, and of a long text it covers the lines around the cursor.

Behind it: whether a place is a literal, a comment or code (literals.py), which block a line opens and where it ends
(blocks.py, block_words.py), and the names of nodes in each language (grammars.py, kinds.py). Each reads lines alone
where there is no tree.
"""

from .tree import Syntax as Syntax
from .tree import parse as parse
