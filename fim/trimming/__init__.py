"""From the engine's raw text to what may be inserted. The door is `Trimmer`, made once for a hole: `trimmed(text)`
is what of a text may be inserted, "" for nothing. Trees are read for 0.1 s at most, then lines alone.

Behind it: trim.py runs the rules, in an order that it lists, until nothing changes any more. Each rule is a function
that takes text away, with a name under which it can be left out; each file is one kind of rule, and context.py is what
all of them are told of the place.
"""

from .trimmer import Trimmer as Trimmer
