"""A language server that answers completions with given items, word for word, and keeps what it is told.

Run as a script. It is no Quicksilver: for what our own server would not say (items of every shape that the protocol
allows, answers that come too late, errors), and for reading the messages that an editor sends. ANSWERS is a JSON file:
"automatic" and "invoked" hold lists of items, whose "range" is left out for an empty one at the cursor, or "line" for
one to the line's end, and in whose text POSITION is the character that was asked about; "error" is answered instead of
items, "status" and "message" (window/showMessage) are sent with each answer, and the name of a command holds what it
answers.
"""

import argparse
import json
import sys
import threading
from pathlib import Path

OUTPUT = threading.Lock()


class ItemServer:
    """Answers requests as they come; whatever arrives is recorded."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.texts: dict[str, str] = {}

    def run(self) -> int:
        while (message := read_message()) is not None:
            with self.options.record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(message) + "\n")
            method, params = message.get("method"), message.get("params") or {}
            if method == "exit":
                return 0
            if method == "textDocument/didOpen":
                self.texts[params["textDocument"]["uri"]] = params["textDocument"]["text"]
            elif method == "textDocument/didChange":
                self.texts[params["textDocument"]["uri"]] = params["contentChanges"][-1]["text"]
            elif "id" in message and method is not None:
                self.answer(message["id"], method, params)
        return 0

    def answer(self, number: int, method: str, params: dict) -> None:
        answers = json.loads(self.options.answers.read_text(encoding="utf-8"))
        answer: dict = {"id": number, "result": None}
        delay_s = 0.0
        if method == "initialize":
            sync = {"openClose": True, "change": 1}
            answer["result"] = {"capabilities": {"textDocumentSync": sync, "inlineCompletionProvider": True}}
        elif method == "textDocument/inlineCompletion":
            delay_s = self.options.delay_ms / 1000
            if "error" in answers:
                answer = {"id": number, "error": {"code": -32603, "message": answers["error"]}}
            else:
                kind = "invoked" if params["context"]["triggerKind"] == 1 else "automatic"
                answer["result"] = {"items": [self.item(each, params) for each in answers.get(kind, [])]}
        elif method == "workspace/executeCommand":
            answer["result"] = answers.get(params["command"])
        threading.Timer(delay_s, write_message, [answer]).start()
        if "status" in answers:
            write_message({"method": "quicksilver/status", "params": answers["status"]})
        if "message" in answers:
            write_message({"method": "window/showMessage", "params": answers["message"]})

    def item(self, item: dict, params: dict) -> dict:
        start = params["position"]
        end = dict(start)
        if item.get("range") == "line":
            line = self.texts[params["textDocument"]["uri"]].split("\n")[start["line"]].rstrip("\r")
            end["character"] = len(line.encode("utf-16-le")) // 2
        text = item["insertText"]
        if isinstance(text, str):
            text = text.replace("POSITION", str(start["character"]))
        return {**item, "insertText": text, "range": {"start": start, "end": end}}


def read_message() -> dict | None:
    """The next message on stdin, None at its end."""
    length = 0
    while line := sys.stdin.buffer.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return json.loads(sys.stdin.buffer.read(length)) if length else None


def write_message(message: dict) -> None:
    """Send a message on stdout, from any thread."""
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    with OUTPUT:
        sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        sys.stdout.buffer.flush()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("answers", type=Path)
    parser.add_argument("record", type=Path)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    return ItemServer(parser.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
