import ast
import random
import string

import pytest
from quicksilver.training.corpus.scrub import scrub

RANDOM = random.Random(7)


def chars(alphabet, n):
    return "".join(RANDOM.choice(alphabet) for _ in range(n))


ALPHANUMERIC = string.ascii_letters + string.digits
PEM = "\n".join(
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        chars(ALPHANUMERIC, 64),
        chars(ALPHANUMERIC, 30) + "==",
        "-----END RSA PRIVATE KEY-----",
    ]
)
SECRETS = [
    ("e-mail address", "jane.doe@mail.some-firm.de"),
    ("PEM block", PEM),
    ("AWS key", "AKIA" + chars(string.ascii_uppercase, 16)),
    ("GitHub token", "ghp_" + chars(ALPHANUMERIC, 36)),
    ("GitLab token", "glpat-" + chars(ALPHANUMERIC, 20)),
    ("Slack token", "xoxb-" + chars(string.digits, 12) + "-" + chars(ALPHANUMERIC, 24)),
    ("Google key", "AIza" + chars(ALPHANUMERIC, 35)),
    ("JWT", ".".join(["eyJ" + chars(ALPHANUMERIC, 20), "eyJ" + chars(ALPHANUMERIC, 40), chars(ALPHANUMERIC, 43)])),
    ("Stripe key", "sk_" + "live_" + chars(ALPHANUMERIC, 24)),
    ("model service key", "sk-proj-" + chars(ALPHANUMERIC, 48)),
]


@pytest.mark.parametrize(("kind", "secret"), SECRETS)
@pytest.mark.parametrize("template", ['x = """{}"""\n', "# {}\nx = 1\n", 'call(a, ["{}"], b)\n'])
def test_a_secret_goes_and_the_syntax_stays(kind, secret, template):
    if "\n" in secret and '"""' not in template:
        secret = secret.replace("\n", "\\n")
    text = template.format(secret)
    before = ast.dump(ast.parse(text))
    scrubbed, counts = scrub(text)
    assert counts[kind] == 1
    assert ast.dump(ast.parse(scrubbed)) != before or template.startswith("#")
    longest = max(secret.replace("\\n", "\n").split("\n"), key=len)
    assert longest not in scrubbed
    assert scrubbed.count("\n") == text.count("\n")


def test_a_key_over_several_string_literals_stays_several_literals():
    lines = "".join(f'    "{line}\\n"\n' for line in PEM.split("\n"))
    scrubbed, counts = scrub(f"key = (\n{lines})\n")
    value = ast.literal_eval(scrubbed.removeprefix("key = "))
    assert counts == {"PEM block": 1}
    assert value.count("\n") == 4
    assert "REDACTED" in value


@pytest.mark.parametrize("name", ["secret_key", "API_KEY", "config['password']", '"client_secret"', "access_token"])
def test_assigned_secrets_of_high_entropy(name):
    secret = "9fG2kLx81QpZ0aVr7TbW"
    separator = ": " if name.startswith('"') else " = "
    scrubbed, counts = scrub(f"{name}{separator}'{secret}'\n")
    assert counts == {"assigned secret": 1}
    assert scrubbed == f"{name}{separator}'REDACTED'\n"


@pytest.mark.parametrize(
    "text",
    [
        "author = 'someone@example.com, a@b.example.org, x@localhost, root@host.test'\n",
        "url = 'git@github.com:someone/something.git'\n",
        "y = a@b.net(c) + left@right.com.T\n",
        "@decorator.net\ndef f(): pass\n",
        "token_type = 'urn.ietf.params.oauth.token'\n",
        "password = 'correct horse battery staple'\n",
        "AUTH_BACKEND = 'django.contrib.auth.backends.ModelBackend'\n",
        "key = 'AKIAIOSFODNN7EXAMPLE'\n",
        "digest = '9fG2kLx81QpZ0aVr7TbW'\n",
        "# sk-learn-compatible-estimators-everywhere\n",
    ],
)
def test_what_is_no_secret_stays(text):
    assert scrub(text) == (text, {})


def test_scrubbing_twice_changes_nothing_more():
    text = "\n".join(secret for _, secret in SECRETS)
    once, counts = scrub(text)
    assert sum(counts.values()) == len(SECRETS)
    assert scrub(once) == (once, {})
