"""The file that names servers elsewhere, and what leaves the machine for one of them."""

import dataclasses
import os
import re
from pathlib import Path

import pytest
from quicksilver.fim.errors import InputError
from quicksilver.fim.types import ChatMessage, Hole, Offer
from quicksilver.serving.elsewhere.dialects import SPEECHES
from quicksilver.serving.elsewhere.endpoint import ForeignEndpoint, find_endpoint, read_endpoints
from quicksilver.serving.elsewhere.marks import FAMILIES
from quicksilver.serving.elsewhere.outgoing import outgoing_request

MERCURY = """
[[arm]]
name = "mercury"
dialect = "inception"
url = "https://api.inceptionlabs.ai"
model = "mercury-coder"
api_key_variable = "INCEPTION_API_KEY"
"""
PASTED = "sk-live-0123456789"


def endpoint(**fields):
    return ForeignEndpoint(**{"name": "a", "dialect": "openai", "url": "https://example.com", "model": "m", **fields})


def written(tmp_path, text):
    file = tmp_path / "arms.toml"
    file.write_bytes(text.encode())
    return file


def test_a_file_names_servers_and_how_to_ask_them(tmp_path):
    local = """
        [[arm]]
        name = "llama"
        dialect = "llamacpp"
        url = "http://127.0.0.1:8012"
        context_chars = 8000
        snippets = true
    """
    mercury, llama = read_endpoints(written(tmp_path, MERCURY + local))
    assert mercury == ForeignEndpoint(
        name="mercury", dialect="inception", url="https://api.inceptionlabs.ai", model="mercury-coder",
        api_key_variable="INCEPTION_API_KEY",
    )  # fmt: skip
    assert (llama.name, llama.context_chars, llama.snippets, llama.host) == ("llama", 8000, True, "127.0.0.1:8012")
    assert find_endpoint((mercury, llama), "llama") is llama
    with pytest.raises(InputError, match="no server called lama: there is mercury, llama"):
        find_endpoint((mercury, llama), "lama")


def test_the_file_on_the_page_of_commands_is_one(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    arms = read_endpoints(written(tmp_path, example))
    assert {arm.dialect for arm in arms} == set(SPEECHES)
    fields = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert fields == [field.name for field in dataclasses.fields(ForeignEndpoint)]
    (families,) = re.findall(r"^\| `family` .*$", page, re.MULTILINE)
    assert [name for name in re.findall(r"`([\w]+)`", families) if name not in ("family", "marks")] == list(FAMILIES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "arm is missing"),
        ("arm = []", "names no server"),
        ("arm = 3", "must be a list"),
        ("[[arm]]\nname = ", "is not TOML"),
        ("a = " + "[" * 5000, "is (nested too deeply|not TOML)"),
        (MERCURY + MERCURY, "two servers that are called mercury"),
        (MERCURY + "modle = 'x'", "unknown key 'modle'"),
        (MERCURY + "[other]\nx = 1", "unknown key 'other'"),
        (MERCURY + "api_key = 'x'", "api_key does not belong in a file: put the key into an environment variable"),
        (MERCURY + "Token = 'x'", "token does not belong in a file"),
        (MERCURY + "insecure = 1", "insecure must be true or false"),
        (MERCURY + "context_chars = nan", "finite number"),
        (MERCURY + "context_chars = 1e99", "whole number"),
        (MERCURY.replace("inception\"", "cohere\""), "not one of the known values"),
        (MERCURY.replace("name", "nam"), "unknown key 'nam'"),
        (MERCURY.replace('"mercury"', "2026-11-30"), "name must be a string"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line_that_says_what_is_wrong(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as raised:
        read_endpoints(written(tmp_path, text))
    assert "\n" not in str(raised.value)


def test_what_is_no_readable_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"#" * (1024 * 1024 + 1))
    (tmp_path / "latin").write_bytes(b"# \xe9")
    for name, message in {
        "missing": "there is no file", ".": "is not a file", "pipe": "is not a file", "large": "larger than 1024 KB",
        "latin": "is not TOML", "nu\0l": "is not TOML|there is no file",
    }.items():  # fmt: skip
        with pytest.raises(InputError, match=message):
            read_endpoints(tmp_path / name)


@pytest.mark.parametrize(
    "url",
    [
        "", "example.com", "ftp://example.com", "https://", "https:///v1", f"https://user:{PASTED}@example.com",
        f"https://example.com/?key={PASTED}", "https://example.com/#a", "https://example.com:99999", "https://a b",
        "http://127.0.0.1\\@example.com", "https://exämple.com", "https://example.com/a\nb", "HTTPS://example.com",
    ],
)  # fmt: skip
def test_an_odd_address_is_refused_and_not_repeated(url):
    with pytest.raises(ValueError, match="url must be like") as raised:
        endpoint(url=url)
    assert PASTED not in str(raised.value)


def test_plain_http_is_for_this_machine_unless_a_person_insists():
    for url in ("http://localhost:1", "http://127.0.0.1", "http://127.8.9.1:80/x", "http://[::1]:11434"):
        assert endpoint(url=url).is_loopback
    for url in (
        "http://example.com",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "http://127.1",
        "http://0.0.0.0",
    ):
        with pytest.raises(ValueError, match="plain http to another machine"):
            endpoint(url=url)
        assert not endpoint(url=url, insecure=True).is_loopback


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "a b"}, "name must be"),
        ({"name": "../x"}, "name must be"),
        ({"api_key_variable": PASTED}, "api_key_variable must be the name"),
        ({"api_key_variable": "aBc123XyZ"}, "api_key_variable must be the name"),
        ({"model": ""}, "model is missing"),
        ({"model": "a\x1b[31m"}, "visible ASCII"),
        ({"dialect": "marks"}, "family must be one of qwen, "),
        ({"dialect": "marks", "family": "gpt"}, "family must be one of"),
        ({"family": "qwen"}, 'family is for the dialect "marks"'),
        ({"snippets": True}, "have no place for them"),
        ({"context_chars": 0}, "from 16 to"),
    ],
)
def test_wrong_fields_are_refused_without_repeating_what_may_be_a_key(fields, message):
    with pytest.raises(ValueError, match=message) as raised:
        endpoint(**fields)
    assert PASTED not in str(raised.value) and "aBc123XyZ" not in str(raised.value)


def test_an_address_with_a_path_is_taken_as_it_is():
    paths = {dialect: endpoint(dialect=dialect, family="qwen" if dialect == "marks" else "").address(speech.path)
             for dialect, speech in SPEECHES.items()}  # fmt: skip
    assert paths == {
        "openai": "https://example.com/v1/completions",
        "marks": "https://example.com/v1/completions",
        "mistral": "https://example.com/v1/fim/completions",
        "inception": "https://example.com/v1/fim/completions",
        "llamacpp": "https://example.com/infill",
        "ollama": "https://example.com/api/generate",
    }
    assert endpoint(url="https://example.com/").address("/infill") == "https://example.com/infill"
    assert endpoint(url="https://a.com/beta/completions").address("/x") == "https://a.com/beta/completions"


def test_only_the_text_around_the_hole_goes_out(ask):
    offer = Offer(text="offered", source="workspace", n_before=3)
    request = ask("a = 1\n", "\nb", path="/home/me/secret-project/a.py", snippets=("other file",), offers=(offer,))
    sent = outgoing_request(endpoint(), request)
    assert (sent.path, sent.snippets, sent.offers) == ("", (), ())
    assert (sent.hole.prefix, sent.hole.suffix) == ("a = 1\n", "\nb")
    llama = endpoint(dialect="llamacpp", snippets=True, context_chars=16)
    sent = outgoing_request(llama, ask(snippets=("x" * 9, "less useful", "a\r\nb")))
    assert sent.snippets == ("less useful", "a\nb")


@pytest.mark.parametrize("path", ["/w/.env", ".env.local", "C:\\keys\\server.pem", "/home/me/.ssh/config", "/w/id_rsa"])
def test_a_secret_file_is_not_sent(ask, path):
    with pytest.raises(InputError, match="holds secrets: it is not sent to a"):
        outgoing_request(endpoint(), ask(path=path))


def test_what_servers_elsewhere_cannot_do_is_refused(ask):
    for wanted in ({"log_probs": True}, {"messages": (ChatMessage(role="user", content="hi"),)}):
        with pytest.raises(InputError):
            outgoing_request(endpoint(), ask(**wanted))


@pytest.mark.parametrize(
    ("n_left", "n_right", "sent_left", "sent_right"),
    [(10, 10, 10, 10), (500, 10, 86, 10), (10, 500, 10, 90), (500, 500, 71, 25), (0, 500, 0, 100), (500, 0, 100, 0)],
)
def test_no_more_text_than_was_agreed_goes_out(ask, n_left, n_right, sent_left, sent_right):
    request = ask("p" * n_left, "s" * n_right)
    sent = outgoing_request(endpoint(context_chars=100), request).hole
    assert (len(sent.prefix), len(sent.suffix)) == (pytest.approx(sent_left, abs=12), sent_right)
    assert len(sent.prefix) + len(sent.suffix) <= 100
    assert request.hole.prefix.endswith(sent.prefix) and sent.replaced == request.hole.replaced


def test_a_shortened_prefix_begins_at_a_line_and_stays_while_a_person_types(ask):
    text = "".join(f"line {n}\n" for n in range(1000))
    at_ends = {outgoing_request(endpoint(context_chars=1000), ask(text[:n])).hole.prefix[:9] for n in range(5000, 5050)}
    assert len(at_ends) <= 2 and all(each.startswith("line ") for each in at_ends)


def test_what_goes_out_is_text_that_every_server_reads(ask):
    hole = Hole(prefix="a\r\nb\rc\ud800", suffix="\udc00\r\n", language="x", replaced=(7, 7), multiline=True)
    sent = outgoing_request(endpoint(), dataclasses.replace(ask(), hole=hole, stop=("\r\n", "\ud800")))
    assert (sent.hole.prefix, sent.hole.suffix, sent.stop) == ("a\nb\nc\ufffd", "\ufffd\n", ("\n", "\ufffd"))


def test_prompts_with_marks():
    assert {name: marks.prompt("P", "S") for name, marks in FAMILIES.items()} == {
        "qwen": "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>",
        "codegemma": "<|fim_prefix|>P<|fim_suffix|>S<|fim_middle|>",
        "starcoder": "<fim_prefix>P<fim_suffix>S<fim_middle>",
        "mellum": "<fim_suffix>S<fim_prefix>P<fim_middle>",
        "codellama": "<PRE> P <SUF>S <MID>",
        "deepseek": "<｜fim▁begin｜>P<｜fim▁hole｜>S<｜fim▁end｜>",
        "codestral": "[SUFFIX]S[PREFIX]P",
        "glm": "<|code_prefix|>P<|code_suffix|>S<|code_middle|>",
    }
    for marks in FAMILIES.values():
        for mark in filter(None, (marks.prefix, marks.suffix, marks.middle)):
            with pytest.raises(InputError, match="spells a mark"):
                marks.prompt("P", f"x{mark.strip()}y")
