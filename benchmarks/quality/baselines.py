"""What any model must beat: fillings that need no model. Pure functions over the text around the cursor.

None is told how long the truth is. Where an answer may hold several lines, the copy goes on only as far as the text
itself says: see `longest_match_lines`.
"""

N_MATCH_MAX = 80
N_LINES_MAX = 12
N_SPAN_CHARS_MAX = 120
ANCHOR_SIZES = (16, 8, 4)  # characters of the suffix looked for in what is copied, longest first


def empty(prefix: str, suffix: str) -> str:
    """Nothing at all."""
    return ""


def pass_statement(prefix: str, suffix: str) -> str:
    """`pass`, indented as the text around asks for where the cursor stands at a line's beginning."""
    above, _, left = prefix.rpartition("\n")
    if left:
        return "pass"
    below = next((line for line in suffix.split("\n") if line.strip()), "")
    last = next((line for line in reversed(above.split("\n")) if line.strip()), "")
    opens = last.rstrip().endswith(":")
    return max(_indentation(below), _indentation(last) + ("    " if opens else ""), key=len) + "pass"


def previous_line(prefix: str, suffix: str) -> str:
    """What stands in the line above from the cursor's column on."""
    lines = prefix.rsplit("\n", 2)
    return lines[-2][len(lines[-1]) :] if len(lines) > 1 else ""


def longest_match(prefix: str, suffix: str) -> str:
    """The rest of the line after the longest earlier match of the prefix's end in the same file."""
    return text_after_match(prefix, suffix).split("\n", 1)[0]


def longest_match_lines(prefix: str, suffix: str) -> str:
    """What follows the longest match, over as many lines as the text around the cursor calls for.

    With text right of the cursor the copy ends where the suffix's first characters come up in it, else at its line's
    end. Otherwise it ends before a line that equals the first one below the cursor, before a line indented less than
    the cursor's line, or after N_LINES_MAX lines.
    """
    copied = text_after_match(prefix, suffix)
    right = suffix.split("\n", 1)[0]
    return _copied_span(copied, right, suffix) if right.strip() else _copied_lines(copied, prefix, suffix)


def text_after_match(prefix: str, suffix: str) -> str:
    """What follows the longest match of the prefix's end: up to the cursor, or up to the end of the file.

    Compares up to N_MATCH_MAX characters before the cursor with every place in prefix and suffix; of equally long
    matches the last one in the prefix wins, then the first in the suffix. "" if nothing matches.
    """
    end = prefix[-N_MATCH_MAX:]
    low, high, found = 0, len(end), ""
    while low < high:  # if n characters match somewhere, n - 1 do too
        n = (low + high + 1) // 2
        rest = _text_after(prefix, suffix, end[len(end) - n :])
        if rest is None:
            high = n - 1
        else:
            low, found = n, rest
    return found


def _text_after(prefix: str, suffix: str, wanted: str) -> str | None:
    """What follows wanted, where it stands before the cursor or after it; None if it does not."""
    at = prefix.rfind(wanted, 0, len(prefix) - 1)
    if at >= 0:
        return prefix[at + len(wanted) :]
    at = suffix.find(wanted)
    return suffix[at + len(wanted) :] if at >= 0 else None


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _copied_span(copied: str, right: str, suffix: str) -> str:
    """The copy up to where the suffix's beginning stands in it, else its first line."""
    for size in ANCHOR_SIZES:
        at = copied[:N_SPAN_CHARS_MAX].find(suffix[:size]) if len(suffix) >= size else -1
        if at >= 0:
            return copied[:at]
    return copied.split("\n", 1)[0]


def _copied_lines(copied: str, prefix: str, suffix: str) -> str:
    """The copy's lines up to a dedent or to the line that stands below the cursor already."""
    left = prefix.rsplit("\n", 1)[-1]
    indent = len(left) - len(left.lstrip())
    below = next((line.strip() for line in suffix.split("\n", 20)[:20] if line.strip()), "")
    first, *others = copied.split("\n", N_LINES_MAX)[:N_LINES_MAX]
    kept = [first]
    for line in others:
        if line.strip() and (len(line) - len(line.lstrip()) < indent or line.strip() == below):
            break
        kept.append(line)
    return "\n".join(kept).rstrip()
