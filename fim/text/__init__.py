"""Plain text. The door is `Document`: an immutable text with a line index, which makes the next version from edits and
converts LSP positions to offsets and back, here and nowhere else. Only \\n, \\r\\n and \\r end a line, and nothing in a
document is normalised: the text right of the cursor may go back to the editor unchanged.

Behind it: what one line leaves open (line_scan.py, line_marks.py), names of languages (language_ids.py), which one a
text is in (language_guess.py), and what may be printed (printable.py).
"""

from .document import Document as Document
from .document import TextChange as TextChange
from .positions import Position as Position
from .positions import PositionEncoding as PositionEncoding
