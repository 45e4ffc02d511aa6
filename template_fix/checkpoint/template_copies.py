"""Chat templates as they are stored: every copy, where its text lies, and which copy each reader sees."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from template_fix.checkpoint.json_file import Document, kind
from template_fix.results import Place
from template_fix.text.edits import Edit, line_at, position
from template_fix.text.json_nodes import Array, Leaf, Node, Object
from template_fix.text.json_strings import Literal

CONFIG = "tokenizer_config.json"
PROCESSOR = "processor_config.json"
LEGACY = "chat_template.json"
JINJA = "chat_template.jinja"
# What a template by another name, as vLLM, llama.cpp and Axolotl are given one, can end in.
SUFFIXES = (".jinja", ".jinja2", ".j2")
ADDITIONAL = "additional_chat_templates/"
# What templates are called in the metadata of a GGUF file; others than the default one have their name behind it.
GGUF_TEMPLATE = "tokenizer.chat_template"
# The reader that most users have.
TRANSFORMERS = "the tokenizer of transformers 4.52 and later"
PROCESSOR_VIEW = "the processor of transformers"
PROCESSOR_FILES = frozenset({PROCESSOR, LEGACY, "preprocessor_config.json", "video_preprocessor_config.json"})


# A whole template may stand on one line, but not a megabyte of it; names are a word or two.
_LONGEST_LINE, _LONGEST_NAME = 100_000, 200


@dataclass(frozen=True)
class TemplateCopy:
    """One stored copy of a chat template.

    ``variant`` is its name (``default``, ``tool_use``, …), ``source`` its text as a reader gets it, ``form`` how it
    is stored: ``file``, ``string``, or an entry of a ``list`` or a ``mapping``. ``literal`` is the string literal of
    a copy that lies in a JSON file, ``text`` the text of the file.
    """

    file: str
    variant: str
    source: str = field(repr=False)
    form: str
    text: str = field(repr=False)
    literal: Literal | None = field(default=None, repr=False)

    def edits(self, edits: Iterable[Edit]) -> tuple[tuple[str, Edit], ...]:
        """Return the edits of the file that make ``edits`` in the source."""
        if self.literal is not None:
            return tuple((self.file, edit) for edit in self.literal.edits(edits))
        return tuple((self.file, Edit(edit.span, self._newlines(edit.text))) for edit in edits)

    def _newlines(self, text: str) -> str:
        crlf = self.text.count("\r\n")
        if not crlf or crlf < self.text.count("\n"):
            return text
        return text.replace("\r\n", "\n").replace("\n", "\r\n")

    def place(self, start: int, end: int | None = None) -> Place:
        """Return where the source's characters from ``start`` to ``end`` are, in the file and in the template."""
        offset = self.literal.offset(start) if self.literal else start
        line, column = position(self.text, offset)
        last = start if end is None else end
        end_line, end_column = position(self.text, self.literal.offset(last) if self.literal else last)
        template_line, template_column = position(self.source, start)
        source = line_at(self.source, start)
        width = min(last - start, len(source) - template_column + 1)
        shown = source if len(source) <= _LONGEST_LINE else None
        inner = self.variant, template_line, template_column
        return Place(self.file, line, column, *inner, shown, max(width, 0), end_line, end_column)


def is_gguf_template(key: str) -> bool:
    """Whether a key of a GGUF file's metadata holds a template."""
    return key == GGUF_TEMPLATE or key.startswith(f"{GGUF_TEMPLATE}.")


def stored_copies(files: Mapping[str, str], document: Callable[[str], Document | None]) -> tuple[TemplateCopy, ...]:
    """Return all copies of the templates in ``files``, in the order of the file names.

    ``document`` gives the JSON files. Raises CheckpointError where something else than text stands for a template.
    """
    return tuple(copy for file in sorted(files) for copy in _copies_in(file, files, document))


def _copies_in(
    file: str, files: Mapping[str, str], document: Callable[[str], Document | None]
) -> Iterator[TemplateCopy]:
    if "/" not in file and file.endswith(SUFFIXES):
        yield _file(file, "default", files[file])
    elif file.startswith(ADDITIONAL):
        yield _file(file, file[len(ADDITIONAL) :].removesuffix(".jinja"), files[file])
    elif is_gguf_template(file):
        yield _file(file, file[len(GGUF_TEMPLATE) + 1 :] or "default", files[file])
    elif file in (CONFIG, PROCESSOR, LEGACY):
        json = document(file)
        node = json.get("chat_template") if json else None
        if json and node:
            yield from _copies_at(json, node)


def _file(file: str, variant: str, text: str) -> TemplateCopy:
    return TemplateCopy(file, variant, text, "file", text)


def _copies_at(json: Document, node: Node) -> Iterator[TemplateCopy]:
    if isinstance(node, Leaf) and isinstance(node.value, str):
        yield _copy(json, "default", node, "string")
    elif isinstance(node, Object):
        for member in json.members(node):
            yield _copy(json, member.key, member.value, "mapping")
    elif isinstance(node, Array):
        for item in node.items:
            if not isinstance(item, Object):
                raise json.error(item.span, f"a chat template should be a name and a template, not {kind(item)}")
            name = json.string(json.get("name", item), item.span, "the chat template's name")
            yield _copy(json, name, json.get("template", item) or item, "list")
    else:
        raise json.error(node.span, f"chat_template should be a string or a list of named templates, not {kind(node)}")


def _copy(json: Document, variant: str, node: Node, form: str) -> TemplateCopy:
    if len(variant) > _LONGEST_NAME:
        raise json.error(node.span, f"the name of a chat template has {len(variant):,} characters")
    source = json.string(node, node.span, f'the chat template "{variant}"')
    return TemplateCopy(json.file, variant, source, form, json.text, Literal(json.text, node.span))


Views = Mapping[str, TemplateCopy]


class Stored(NamedTuple):
    """The copies of one checkpoint by the places that readers look in."""

    copies: tuple[TemplateCopy, ...]
    present: Collection[str]

    def of(self, *files: str) -> dict[str, TemplateCopy]:
        """Return the copies in ``files`` by variant; where a variant stands twice, the later one counts."""
        return {copy.variant: copy for file in files for copy in self.copies if copy.file == file}

    @property
    def jinja(self) -> dict[str, TemplateCopy]:
        """The template files; ``additional_chat_templates/default.jinja`` comes before ``chat_template.jinja``."""
        files = {copy.file for copy in self.copies if copy.literal is None}
        return self.of(*sorted(files, key=lambda file: (file.startswith(ADDITIONAL), file)))


def _tokenizer(stored: Stored) -> Views:
    return stored.jinja or stored.of(CONFIG)


def _old_tokenizer(stored: Stored) -> Views:
    return stored.of(CONFIG)


def _processor(stored: Stored) -> Views:
    legacy_beside_files = stored.of(LEGACY) and any(copy.file.startswith(ADDITIONAL) for copy in stored.copies)
    if legacy_beside_files or not PROCESSOR_FILES.intersection(stored.present):
        return {}
    return stored.of(PROCESSOR) or stored.of(LEGACY) or stored.jinja


def _server(stored: Stored) -> Views:
    return _processor(stored) or _tokenizer(stored)


def _llama_cpp(stored: Stored) -> Views:
    if CONFIG not in stored.present:
        return {}
    config = {name: copy for name, copy in stored.of(CONFIG).items() if copy.form != "mapping"}
    jinja = stored.jinja if stored.of(JINJA) else {}
    return config or jinja or stored.of(LEGACY)


def _tgi(stored: Stored) -> Views:
    return stored.of(LEGACY) or stored.of(CONFIG)


READERS: Mapping[str, Callable[[Stored], Views]] = {
    TRANSFORMERS: _tokenizer,
    "the tokenizer of transformers before 4.48": _old_tokenizer,
    PROCESSOR_VIEW: _processor,
    "vLLM and SGLang": _server,
    "llama.cpp's converter": _llama_cpp,
    "TGI": _tgi,
}


def seen(stored: Stored) -> dict[str, Views]:
    """Return for each reader the copies that it sees, by variant; none where it finds no template."""
    return {name: view(stored) for name, view in READERS.items()}
