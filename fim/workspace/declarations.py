"""What a source file declares, as compact text: signatures and the first line of their documentation.

Owns which nodes of a tree are declarations and how each is rendered.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from tree_sitter import Node

from ..syntax.tree import parse

MAX_CHARS = 400_000  # of a file that is parsed
N_CHARS_LINE = 200
N_MEMBERS_MAX = 12
MAX_NESTING = 20  # of namespaces, and of conditions around Python's declarations
_LINE_COMMENT = {"python": "#", "shellscript": "#", "ruby": "#"}
# Nodes at the top of a file (or of a namespace) that declare something, for languages other than Python.
_DECLARES = frozenset({
    "function_declaration", "generator_function_declaration", "class_declaration", "abstract_class_declaration",
    "interface_declaration", "type_alias_declaration", "enum_declaration", "lexical_declaration",
    "variable_declaration", "method_declaration", "type_declaration", "const_declaration", "function_item",
    "struct_item", "enum_item", "trait_item", "impl_item", "type_item", "const_item", "record_declaration",
    "function_definition", "struct_specifier", "class_specifier", "enum_specifier", "type_definition",
    "declaration", "preproc_def", "preproc_function_def", "trait_declaration", "property_declaration", "method",
    "singleton_method", "class", "module", "struct_declaration", "object_declaration",
})  # fmt: skip
_WRAPPERS = frozenset({
    "export_statement", "namespace_definition", "declaration_list", "linkage_specification", "preproc_ifdef",
    "preproc_if",
})  # fmt: skip
_TYPES = frozenset({
    "class_declaration", "abstract_class_declaration", "interface_declaration", "enum_declaration", "struct_item",
    "enum_item", "trait_item", "impl_item", "record_declaration", "struct_specifier", "class_specifier",
    "type_alias_declaration",
})  # fmt: skip
_SPACE = re.compile(r"\s+")
_AFTER_OPENING, _BEFORE_CLOSING = re.compile(r"([(\[]) "), re.compile(r",? ([)\]])")


@dataclass(frozen=True)
class Declaration:
    """A declared name: its head (signature, documentation) and, of a class, its members' names and heads."""

    name: str
    head: str
    members: tuple[tuple[str, str], ...] = ()

    def render(self, near: Collection[str] = ()) -> str:
        """The declaration as text; of many members those in near come first, then others as far as there is room."""
        chosen = sorted(range(len(self.members)), key=lambda n: (self.members[n][0] not in near, n))[:N_MEMBERS_MAX]
        return "\n".join([self.head, *(self.members[n][1] for n in sorted(chosen))])


def find_declarations(text: str, language: str) -> dict[str, Declaration]:
    """The top-level declarations of a file, in its order.

    {} for a language without a grammar, and for a file that is too long or takes too long to parse.
    """
    syntax = parse(text, language) if len(text) <= MAX_CHARS else None
    if syntax is None:
        return {}
    root, source = syntax.tree.root_node, syntax.data
    found = _python_declarations(root, source) if language == "python" else _other_declarations(root, source)
    declared: dict[str, Declaration] = {}
    for declaration in found:
        first = declared.setdefault(declaration.name, declaration)
        if first is not declaration and language != "python":  # such as Rust's impl after its struct
            members = (*first.members, *declaration.members)
            declared[declaration.name] = replace(first, members=members)
    return declared


def comment_sign(language: str | None) -> str:
    """The beginning of a line comment."""
    return _LINE_COMMENT.get(language or "", "//")


def _python_declarations(root: Node, source: bytes, n_more: int = MAX_NESTING) -> Iterator[Declaration]:
    for node in root.named_children if n_more > 0 else ():
        if node.type in ("if_statement", "try_statement"):
            for block in (child for child in node.named_children if child.type == "block"):
                yield from _python_declarations(block, source, n_more - 1)
        elif (declaration := _python_declaration(node, source)) is not None:
            yield declaration


def _python_declaration(node: Node, source: bytes) -> Declaration | None:
    defined = _without_decorators(node)
    if defined.type == "function_definition":
        return Declaration(_name(defined, source), _python_head(node, defined, source, ""))
    if defined.type == "class_definition":
        body = defined.child_by_field_name("body")
        members = () if body is None else tuple(_python_members(body, source))
        return Declaration(_name(defined, source), _python_head(node, defined, source, ""), members)
    assigned = _assigned_name(node)
    if assigned is None:
        return None
    return Declaration(_text(assigned, source), _first_line(node, source))


def _python_members(body: Node, source: bytes) -> Iterator[tuple[str, str]]:
    for node in body.named_children:
        defined = _without_decorators(node)
        if defined.type == "function_definition":
            name = _name(defined, source)
            if not name.startswith("_") or name in ("__init__", "__call__"):
                yield name, _python_head(node, defined, source, "    ", documented=False)
        elif (assigned := _assigned_name(node)) is not None and not _text(assigned, source).startswith("_"):
            yield _text(assigned, source), f"    {_first_line(node, source)}"


def _python_head(node: Node, defined: Node, source: bytes, indent: str, *, documented: bool = True) -> str:
    """Decorators, signature and the documentation's first line; "..." if a function has none or none is wanted."""
    body = defined.child_by_field_name("body")
    end = defined.end_byte if body is None else body.start_byte
    signature = _on_one_line(source[defined.start_byte : end].partition(b"#")[0].decode("utf-8", "replace"))
    decorators = [_first_line(child, source) for child in node.named_children if child.type == "decorator"]
    documentation = _python_documentation(body, source) if documented and body is not None else None
    if documentation is None and defined.type == "function_definition":
        return "\n".join(f"{indent}{line}" for line in (*decorators, f"{signature} ..."))
    lines = [f"{indent}{line}" for line in (*decorators, signature)]
    return "\n".join(lines if documentation is None else [*lines, f"{indent}    {documentation}"])


def _python_documentation(body: Node, source: bytes) -> str | None:
    first = body.named_children[0] if body.named_children else None
    if first is not None and first.type == "expression_statement" and first.named_children:
        first = first.named_children[0]
    if first is None or first.type != "string":
        return None
    line = _text(first, source).strip("rRuUbBfF").strip("\"'").strip().partition("\n")[0].strip()
    return f'"""{line[:N_CHARS_LINE]}"""' if line else None


def _without_decorators(node: Node) -> Node:
    defined = node.child_by_field_name("definition") if node.type == "decorated_definition" else None
    return node if defined is None else defined


def _assigned_name(node: Node) -> Node | None:
    """The name that a statement gives a value or a type; None for other statements."""
    if node.type == "type_alias_statement" and node.named_children:
        return node.named_children[0]
    if node.type != "expression_statement" or not node.named_children or node.named_children[0].type != "assignment":
        return None
    left = node.named_children[0].child_by_field_name("left")
    return left if left is not None and left.type == "identifier" else None


def _other_declarations(root: Node, source: bytes, n_more: int = MAX_NESTING) -> Iterator[Declaration]:
    for node in root.named_children if n_more > 0 else ():
        if node.type in _WRAPPERS:
            yield from _other_declarations(node, source, n_more - 1)
        elif node.type in _DECLARES:
            name = _declared_name(node, source)
            body = node.child_by_field_name("body")
            if name:
                members = () if body is None or node.type not in _TYPES else tuple(_other_members(body, source))
                yield Declaration(name, _other_head(node, source), members)


def _other_members(body: Node, source: bytes) -> Iterator[tuple[str, str]]:
    for node in body.named_children:
        if node.type.endswith("comment"):
            continue
        name = _declared_name(node, source)
        if name:
            yield name, f"    {_other_head(node, source)}"


def _other_head(node: Node, source: bytes) -> str:
    """Everything before the body, on one line; without a body, the first line."""
    body = node.child_by_field_name("body")
    if body is None:
        return _first_line(node, source)
    return _on_one_line(source[node.start_byte : body.start_byte].decode("utf-8", "replace"))


def _declared_name(node: Node, source: bytes) -> str:
    """The first identifier of a declaration's name; "" if none is found near its start."""
    waiting, n_seen = [node], 0
    while waiting and n_seen < 24:
        current, n_seen = waiting.pop(0), n_seen + 1
        named = current.child_by_field_name("name") or current.child_by_field_name("declarator")
        if named is None and current.type.endswith("identifier"):
            return _text(current, source)
        first = (current.named_child(n) for n in range(min(4, current.named_child_count)))
        waiting = [named, *waiting] if named is not None else [*waiting, *(child for child in first if child)]
    return ""


def _name(node: Node, source: bytes) -> str:
    named = node.child_by_field_name("name")
    return "" if named is None else _text(named, source)


def _text(node: Node, source: bytes) -> str:
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


def _first_line(node: Node, source: bytes) -> str:
    return _text(node, source).partition("\n")[0].rstrip()[:N_CHARS_LINE]


def _on_one_line(text: str) -> str:
    """A signature on one line."""
    line = _SPACE.sub(" ", text).strip()
    return _BEFORE_CLOSING.sub(r"\1", _AFTER_OPENING.sub(r"\1", line))[:N_CHARS_LINE]
