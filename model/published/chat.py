"""The chat template of a published folder, if it has one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...fim.errors import InputError
from ..storage.folder_files import is_there, read_file
from ..tokenizers.chat_template import MAX_CHARS, ChatTemplate
from .tokens import PublishedTokenizer, text_of

FILE = "chat_template.jinja"


def read_chat(folder: Path, config: Mapping[str, Any], tokenizer: PublishedTokenizer) -> ChatTemplate | None:
    """The template in a file of its own or in config, the folder's tokenizer_config.json. Raises CheckpointError for a
    file that cannot be read."""
    if is_there(folder / FILE):
        source: object = read_file(folder / FILE, MAX_CHARS).decode("utf-8", "replace")
    else:
        source = config.get("chat_template")
    if isinstance(source, list):  # several, by name
        named = {each.get("name"): each.get("template") for each in source if isinstance(each, dict)}
        source = named.get("default")
    if not isinstance(source, str) or not 0 < len(source) <= MAX_CHARS:
        return None
    bos, eos = (text_of(config.get(key)) or "" for key in ("bos_token", "eos_token"))
    specials = {text: i for text, i in tokenizer.added.items() if text.strip()}
    return ChatTemplate(source=source, specials=specials, bos=bos, eos=eos)


def no_chat(name: str) -> InputError:
    """The error for a folder without one."""
    return InputError(
        f"{name} has no chat template: copy chat_template.jinja, or a tokenizer_config.json with one, to its folder"
    )
