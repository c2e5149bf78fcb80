"""Replaces what no model should memorise, addresses and secrets, by inert text of the same syntax.

Owns the patterns and their placeholders. A placeholder never adds or ends a string, a line or an escape, so a file that
parsed still parses. Addresses and keys that documentation reserves for examples stay.
"""

import math
import re
from collections import Counter
from collections.abc import Callable

EMAIL = "user@example.com"
REDACTED = "REDACTED"
_AWS_EXAMPLE = "AKIAIOSFODNN7EXAMPLE"  # of their documentation

# Top-level domains are listed, or the matrix product `a@b.dot` would be an address.
_EMAIL = re.compile(
    r"(?<![\w.+/:@-])[A-Za-z0-9][\w.+-]*@((?:[A-Za-z0-9-]+\.)+(?:com|org|net|edu|gov|mil|int|info|biz|io|dev|me|ai|co|us|uk"
    r"|eu|de|fr|ch|at|nl|be|it|es|pt|pl|cz|se|no|fi|dk|ru|ua|jp|cn|kr|tw|au|nz|br|ca|ac\.in|co\.in|ac\.il))\b(?!\(|\.\w)"
)
_HOST = re.compile(r"@(?:[A-Za-z0-9-]+\.)+[a-z]")  # quick, and there in every address
_EXAMPLE_HOSTS = re.compile(
    r"(?i)(?:.{0,250}\.)?(?:example(?:\.\w+)*|test|invalid|localhost|domain\.com|(?:foo|bar)\.com)"
)
_SERVICE_USERS = ("git@", "hg@", "noreply@", "no-reply@", "user@", "me@", "you@", "foo@", "someone@")

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40}+)-----((?:(?!-----BEGIN ).){0,20000}?)-----END \1-----", re.DOTALL)
_PEM_BODY = re.compile(r"(\\[nrt])?[A-Za-z0-9+/=]{16,}")

# Kind, what every such token contains (found twenty times faster than the pattern), pattern, placeholder.
_TOKENS: tuple[tuple[str, tuple[str, ...], re.Pattern[str], str], ...] = tuple(
    (kind, tuple(marks.split()), re.compile(pattern), placeholder)
    for kind, marks, pattern, placeholder in (
        (
            "AWS key",
            "AKIA ASIA AROA AIDA",
            r"\b(?:AKIA|ASIA|AROA|AIDA)(?![A-Z0-9]*EXAMPLE)[A-Z0-9]{16}\b",
            _AWS_EXAMPLE,
        ),
        ("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"\bgh[pousr]_[A-Za-z0-9]{36,}\b", "ghp_REDACTED"),
        ("GitHub token", "github_pat_", r"\bgithub_pat_\w{22,}\b", "ghp_REDACTED"),
        ("GitLab token", "glpat-", r"\bglpat-[\w-]{20,}", "glpat-REDACTED"),
        ("Slack token", "xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}", "xoxb-REDACTED"),
        ("Slack webhook", "hooks.slack.com", r"(?<=slack\.com/services/)T\w+/B\w+/\w{8,}", "T000/B000/REDACTED"),
        ("Google key", "AIza", r"\bAIza[\w-]{35}(?![\w-])", "AIza_REDACTED"),
        ("Google secret", "GOCSPX-", r"\bGOCSPX-[\w-]{20,}", "GOCSPX-REDACTED"),
        ("JWT", "eyJ", r"\beyJ[\w-]{10,1000}+\.eyJ[\w-]{10,8000}+\.[\w-]{10,}", "eyJ_REDACTED"),
        ("Stripe key", "k_live_ k_test_", r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{16,}", "sk_test_REDACTED"),
        ("SendGrid key", "SG.", r"\bSG\.[\w-]{16,}\.[\w-]{32,}", "SG.REDACTED"),
        ("model service key", "sk-", r"\bsk-(?:proj-|ant-)?[A-Za-z0-9]{20,}[\w-]*", "sk-REDACTED"),
        ("model service key", "hf_", r"\bhf_[A-Za-z0-9]{30,}", "hf_REDACTED"),
        ("package index token", "pypi-AgE npm_", r"\b(?:pypi-AgE[\w-]{40,}|npm_[A-Za-z0-9]{36})", "pypi-REDACTED"),
        ("Telegram token", ":AA", r"\b\d{8,10}:AA[\w-]{33}(?![\w-])", "0:REDACTED"),
    )
)
_QUOTED = re.compile(r"(?<=[\"'])[A-Za-z0-9+/=_.-]{16,200}(?=[\"'])")
_SECRET_NAME = re.compile(
    r"(?i)(?:secret|token|passw(?:or)?d|passphrase|api_?key|access_?key|private_?key|credential|auth)\w{0,80}+[\"']?\s*+"
    r"(?:[:=]|\]\s*+=)\s*+[rbu]?[\"']\Z"
)
_N_NAME_CHARS = 80
_BITS_PER_CHAR_MIN = 3.5  # English words have about 3, random hexadecimal digits 3.6 to 4, random base64 above 4.5


def scrub(text: str) -> tuple[str, Counter[str]]:
    """text without addresses, keys and secrets, and how many of each kind were replaced."""
    counts: Counter[str] = Counter()
    if "-----BEGIN " in text:
        text = _PEM.sub(_counted(counts, "PEM block", _without_body), text)
    for kind, marks, pattern, placeholder in _TOKENS:
        if any(mark in text for mark in marks):
            text, n = pattern.subn(placeholder, text)
            counts[kind] += n
    text = _QUOTED.sub(_counted(counts, "assigned secret", _without_secret), text)
    if _HOST.search(text):
        text = _EMAIL.sub(_counted(counts, "e-mail address", _without_address), text)
    return text, +counts


def _counted(
    counts: Counter[str], kind: str, replace: Callable[[re.Match[str]], str]
) -> Callable[[re.Match[str]], str]:
    """replace, which counts the matches that it changed."""

    def replace_and_count(match: re.Match[str]) -> str:
        replaced = replace(match)
        counts[kind] += replaced != match[0]
        return replaced

    return replace_and_count


def _without_body(match: re.Match[str]) -> str:
    return _PEM_BODY.sub(lambda run: (run[1] or "") + REDACTED, match[0])


def _without_secret(match: re.Match[str]) -> str:
    secret = match[0]
    mixed = sum(map(str.isdigit, secret)) >= 2 and any(map(str.isalpha, secret))
    if not mixed or "example" in secret.lower() or bits_per_char(secret) < _BITS_PER_CHAR_MIN:
        return secret
    before = match.string[max(0, match.start() - _N_NAME_CHARS) : match.start()]
    return REDACTED if _SECRET_NAME.search(before) else secret


def _without_address(match: re.Match[str]) -> str:
    example = _EXAMPLE_HOSTS.fullmatch(match[1]) or match[0].lower().startswith(_SERVICE_USERS)
    return match[0] if example else EMAIL


def bits_per_char(text: str) -> float:
    """The entropy of text's own distribution of characters, in bits."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
