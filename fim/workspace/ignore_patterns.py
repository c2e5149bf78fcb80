"""One line of a .gitignore as a regular expression over a path.

Implements git's pattern language (gitignore(5), wildmatch). The library for it, pathspec, takes a pattern for a folder
as one for everything below it, too; git does not, and the difference shows when a nearer pattern negates it. Tests
compare with git itself.
"""

import re
from dataclasses import dataclass

MAX_LINE_CHARS = 1_000  # of a pattern; paths are shorter
_POSIX = {
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "blank": " \\t", "cntrl": "\\x00-\\x1f\\x7f", "digit": "0-9",
    "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@\\[-`{-~", "space": "\\s", "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}  # fmt: skip
_CLASS = re.compile(r"\[(?P<not>[!^]?)(?P<items>\]?(?:\[:[a-z]+:\]|\\.|[^\]\\])*)\]", re.DOTALL)
_SPECIAL = re.compile(r"[*?\[\\]")
_ITEM = re.compile(r"\[:(?P<name>[a-z]+):\]|\\(?P<escaped>.)|(?P<range>-)|(?P<plain>.)", re.DOTALL)
_FOLDERS = "(?:[^/]*/)*"


class CostlyPattern(ValueError):
    """A pattern that could take very long to match."""


@dataclass(frozen=True)
class IgnorePattern:
    """The meaning of a line: which paths, whether it negates, whether it is for folders only.

    has_path: compare the path below the ignore file's folder, else only its last name.
    """

    regex: re.Pattern[str]
    negated: bool
    folders_only: bool
    has_path: bool

    def means(self, path: str, *, is_folder: bool) -> bool:
        """Whether exactly this path matches; paths below a matching folder do not."""
        if self.folders_only and not is_folder:
            return False
        return self.regex.fullmatch(path if self.has_path else path.rpartition("/")[2]) is not None


def read_pattern(line: str) -> IgnorePattern | None:
    """The pattern of a line; None for a comment, a blank line, or a pattern without matches. Raises CostlyPattern."""
    if len(line) > MAX_LINE_CHARS:
        raise CostlyPattern(f"a pattern has more than {MAX_LINE_CHARS} characters")
    line = _without_trailing_blanks(line.rstrip("\r\n"))
    if line.startswith("#"):
        return None
    negated = line.startswith("!")
    line = line[1:] if negated else line
    folders_only = line.endswith("/")
    line = line[:-1] if folders_only else line
    has_path = "/" in line
    try:
        regex = _path_regex(line.removeprefix("/")) if has_path else _name_regex(line)
        if not line or regex is None:
            return None
        return IgnorePattern(re.compile(regex, re.DOTALL), negated, folders_only, has_path)
    except re.error:
        return None


def _without_trailing_blanks(line: str) -> str:
    stripped = line.rstrip(" ")
    n_slashes = len(stripped) - len(stripped.rstrip("\\"))
    return stripped + " " if n_slashes % 2 and len(stripped) < len(line) else stripped


def _path_regex(pattern: str) -> str | None:
    literal, after = _past_double_star(pattern)
    if after is None:
        return _parts_regex(pattern)
    rest = _parts_regex(after)
    if rest is None:
        return None
    if not after or all(map(_is_double_star, after.split("/"))):  # nothing needs to follow
        return f"{re.escape(literal)}.*"
    return f"{re.escape(literal)}(?:.*/)?{rest}"


def _parts_regex(pattern: str) -> str | None:
    """The expression of a pattern with slashes; None if nothing matches it.

    The part between two double stars is matched at the first folder that fits: if that fails, a later one fails too. So
    a match takes time proportional to the path, with any number of double stars.
    """
    groups: list[list[str]] = [[]]  # the expressions of names, between double stars
    for part in pattern.split("/"):
        name = None if _is_double_star(part) else _name_regex(part)
        if name is not None:
            groups[-1].append(name)
        elif _is_double_star(part):
            groups.append([])
        else:
            return None
    if len(groups) == 1:
        return "/".join(groups[0])
    first, *between, last = groups
    start = "".join(f"{name}/" for name in first)
    middle = "".join(f"(?>{_FOLDERS}?{''.join(f'{name}/' for name in names)})" for names in between if names)
    return start + middle + (_FOLDERS + "/".join(last) if last else ".+")


def _is_double_star(part: str) -> bool:
    return len(part) > 1 and not part.strip("*")


def _past_double_star(pattern: str) -> tuple[str, str | None]:
    """The plain beginning of a pattern like `a**` or `a**/b`, and what follows the stars and their slash.

    What follows is None for any other pattern.

    git compares a plain beginning first and then the rest alone: these stars are then at the beginning of a name, and
    match across folders, which those of `?**` do not.
    """
    literal = _SPECIAL.split(pattern, maxsplit=1)[0]
    rest = pattern[len(literal) :]
    after = rest.lstrip("*")
    if literal == "" or literal.endswith("/") or len(rest) - len(after) < 2 or after[:1] not in ("", "/"):
        return literal, None
    return literal, after[1:]


def _name_regex(pattern: str) -> str | None:
    """The expression of a pattern without slashes; None if nothing matches it.

    The part between two stars is matched at its first occurrence: if that fails, a later one fails too.
    """
    pieces = _pieces(pattern)
    if pieces is None or len(pieces) == 1:
        return None if pieces is None else pieces[0]
    first, *between, last = pieces
    return "".join([first, *(f"(?>[^/]*?{piece})" for piece in between if piece), "[^/]*", last])


def _pieces(pattern: str) -> list[str] | None:
    """The expressions of the parts between the stars of a pattern without slashes; None if nothing matches it."""
    pieces = [""]
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "*":
            pieces.append("")
        elif sign == "?":
            pieces[-1] += "[^/]"
        elif sign == "\\":
            at += 1
            if at == len(pattern):
                return None
            pieces[-1] += re.escape(pattern[at])
        elif sign == "[":
            match = _CLASS.match(pattern, at)
            if match is None:
                return None
            pieces[-1] += _class_regex(match["not"], match["items"])
            at = match.end() - 1
        else:
            pieces[-1] += re.escape(sign)
        at += 1
    return pieces


def _class_regex(negation: str, items: str) -> str:
    inside = ""
    for match in _ITEM.finditer(items):
        if match["name"]:
            inside += _POSIX.get(match["name"], "")
        elif match["range"]:
            inside += "-" if 0 < match.start() < len(items) - 1 else "\\-"
        else:
            inside += re.escape(match["escaped"] or match["plain"])
    return f"(?!/)[{'^' if negation else ''}{inside}]"
