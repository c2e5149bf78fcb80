"""Text without meaning. The door is `Document`: an immutable text with its own line index, which makes the next
version from edits and turns LSP's positions into offsets and back, here and nowhere else. Only \\n, \\r\\n and \\r end
a line, and nothing in a document is normalised: what stands right of the cursor may go back to the editor as it is.

Behind it: what one line leaves open (line_scan.py, line_marks.py), names of languages (language_ids.py),
and what may be printed (printable.py).
"""

from .document import Document as Document
from .document import TextChange as TextChange
from .positions import Position as Position
from .positions import PositionEncoding as PositionEncoding
