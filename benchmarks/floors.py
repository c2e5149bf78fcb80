"""What any model must beat: fillings that need no model. Pure functions over text."""

N_MATCH_MAX = 80


def empty(prefix: str, suffix: str) -> str:
    """Nothing at all."""
    return ""


def previous_line(prefix: str, suffix: str) -> str:
    """What stands in the line above from the cursor's column on."""
    lines = prefix.rsplit("\n", 2)
    return lines[-2][len(lines[-1]) :] if len(lines) > 1 else ""


def longest_match(prefix: str, suffix: str) -> str:
    """The rest of the line after the longest earlier match of the prefix's end in the same file.

    Compares up to N_MATCH_MAX characters before the cursor with every place in prefix and suffix; of equally long
    matches the last one in the prefix wins, then the first in the suffix.
    """
    end = prefix[-N_MATCH_MAX:]
    low, high, found = 0, len(end), ""
    while low < high:  # if n characters match somewhere, n - 1 do too
        n = (low + high + 1) // 2
        rest = _rest_after(prefix, suffix, end[len(end) - n :])
        if rest is None:
            high = n - 1
        else:
            low, found = n, rest
    return found


def _rest_after(prefix: str, suffix: str, wanted: str) -> str | None:
    """The rest of the line after wanted, where it stands before the cursor or after it; None where it does not."""
    at = prefix.rfind(wanted, 0, len(prefix) - 1)
    if at >= 0:
        return (prefix + "\n")[at + len(wanted) :].split("\n", 1)[0]
    at = suffix.find(wanted)
    return suffix[at + len(wanted) :].split("\n", 1)[0] if at >= 0 else None
