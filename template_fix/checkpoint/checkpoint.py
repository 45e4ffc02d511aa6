"""The tokenizer files of a model as immutable text: reading them, and what is stored in them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from template_fix.checkpoint.gguf import SUFFIX as GGUF
from template_fix.checkpoint.gguf import is_gguf, read_gguf, texts_of
from template_fix.checkpoint.json_file import CheckpointError, Document, value_of
from template_fix.checkpoint.links import refuse_outside
from template_fix.checkpoint.template_copies import (
    ADDITIONAL,
    CONFIG,
    JINJA,
    LEGACY,
    PROCESSOR,
    SUFFIXES,
    Stored,
    TemplateCopy,
    seen,
    stored_copies,
)
from template_fix.checkpoint.texts import Texts, decode
from template_fix.checkpoint.token_records import ADDED, GGUF_TOKENS, MAP, TOKENIZER, TokenRecord, token_records
from template_fix.results import Place
from template_fix.text.edits import Edit, Span, line_at, position
from template_fix.text.edits import apply as apply_edits
from template_fix.text.json_spans import remove_entries

__all__ = ["Checkpoint", "CheckpointError", "TemplateCopy", "TokenRecord"]

EDITABLE = (TOKENIZER, CONFIG, MAP, ADDED, JINJA, LEGACY, PROCESSOR)
# The model's own, beside its tokenizer.
CONFIGS = ("config.json", "generation_config.json")
LARGEST = {TOKENIZER: 64 * 2**20}
LARGEST_OTHER = 16 * 2**20
LONGEST_LINE = 2000
MOST_TEMPLATES = 256


@dataclass(frozen=True)
class Checkpoint:
    """The tokenizer files of one model.

    ``files`` maps relative paths with forward slashes to the files' text, a BOM and line ends included; ``others``
    are the names of files that lie beside them unread; ``revision`` is the commit of a model on the Hub; ``store`` is
    the state of a directory's store of former files, see `store.find_state`. Reading a part that is malformed raises
    CheckpointError; ``Checkpoint.read`` has looked at all of it already.
    """

    name: str
    files: Mapping[str, str] = field(repr=False)
    others: frozenset[str] = frozenset()
    revision: str | None = None
    store: str = ""
    _documents: dict[str, Document] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, path: str | os.PathLike[str], name: str | None = None, *, whole: bool = True) -> Checkpoint:
        """Return the checkpoint in the directory ``path``, or that of a GGUF file or of a template alone.

        Messages call it ``name``, by default the path itself. Raises CheckpointError where the directory or a file in
        it can't be read or isn't what it should be; where it isn't to be ``whole``, of a directory's files some are
        looked at by `read_all` alone.
        """
        root, name = Path(path), str(path) if name is None else name
        if is_template_file(root):
            if not os.path.lexists(root):
                raise CheckpointError(f"{name}: no such file")
            where = f"{root.parent}/{root.name}"
            return cls.of_template(name, root.name, decode(_read(root.parent, root.name, where), where))
        if is_gguf(root):
            checkpoint = cls(name, texts_of(read_gguf(root, name)))
            checkpoint.read_all()
            return checkpoint
        present = _listing(root, name)
        wanted = [*(file for file in (*EDITABLE, *CONFIGS) if file in present), *_additional(root, name)]
        places = {file: f"{name}/{file}" for file in wanted}
        files = Texts({file: _read(root, file, where) for file, where in places.items()}, places)
        if not any(file in EDITABLE or file.startswith(ADDITIONAL) for file in files):
            templates = sorted(file for file in present if file.endswith(SUFFIXES))
            advice = f"; a template by itself is named with its file: {root / templates[0]}" if templates else ""
            raise CheckpointError(
                f"{name}: no tokenizer files here; expected {CONFIG}, {TOKENIZER} or {JINJA} in this directory{advice}"
            )
        checkpoint = cls(name, files, present.difference(files))
        if whole:
            checkpoint.read_all()
        return checkpoint

    @classmethod
    def of_template(cls, name: str, file: str, text: str) -> Checkpoint:
        """Return the checkpoint that has nothing but one template in a file. Raises CheckpointError."""
        checkpoint = cls(name, {file: text})
        checkpoint.read_all()
        return checkpoint

    @classmethod
    def of_stream(cls, name: str, file: str, stream: BinaryIO) -> Checkpoint:
        """Return the checkpoint of a template that comes from a stream, as from a file. Raises CheckpointError."""
        raw = stream.read(LARGEST_OTHER + 1)
        if len(raw) > LARGEST_OTHER:
            raise CheckpointError(f"{name}: no more than {LARGEST_OTHER // 2**20} MB are read, and there are more")
        return cls.of_template(name, file, decode(raw, name))

    def read_all(self) -> None:
        """Look at all files. Raises CheckpointError where one isn't what it should be."""
        for file in self.files:
            _ = self.files[file], self.document(file)
        _ = self.templates, self.records

    def document(self, file: str) -> Document | None:
        """Return a JSON file with the spans of its members, None where it is absent or no JSON file."""
        if file not in self.files or not (file.endswith(".json") or file == GGUF_TOKENS):
            return None
        if file not in self._documents:
            self._documents[file] = Document.read(self.name, file, self.files[file])
        return self._documents[file]

    def value(self, file: str, key: str) -> object:
        """Return the plain value of a top-level key of a JSON file, None where the file or the key is absent."""
        return value_of(self.document(file), key)

    @cached_property
    def templates(self) -> tuple[TemplateCopy, ...]:
        """Every stored copy of every chat template, in the order of the file names."""
        copies = stored_copies(self.files, self.document)
        if len(copies) > MOST_TEMPLATES:
            raise CheckpointError(
                f"{self.name}: {len(copies):,} chat templates are more than a model has; at most {MOST_TEMPLATES}"
            )
        return copies

    @cached_property
    def seen(self) -> dict[str, Mapping[str, TemplateCopy]]:
        """For each reader, by its name, the copies that it sees, by variant; none where it finds no template."""
        return seen(Stored(self.templates, self.files.keys() | self.others))

    def copy_for(self, reader: str, variant: str = "default") -> TemplateCopy | None:
        """Return the copy of a variant that ``reader`` (a key of ``READERS``) sees, None where it sees none."""
        return self.seen[reader].get(variant)

    @cached_property
    def records(self) -> tuple[TokenRecord, ...]:
        """Every entry that says something of an added or special token."""
        return token_records(self.document)

    def records_of(self, content: str) -> tuple[TokenRecord, ...]:
        """Return the records of one token."""
        return tuple(self._records_by_content.get(content, ()))

    @cached_property
    def _records_by_content(self) -> dict[str, list[TokenRecord]]:
        found: dict[str, list[TokenRecord]] = {}
        for record in self.records:
            found.setdefault(record.content, []).append(record)
        return found

    def place(self, file: str, span: Span) -> Place:
        """Return the place of ``span`` in a file; its line is shown unless it is as long as a whole file's."""
        text = self.files[file]
        line, column = position(text, span.start)
        source = line_at(text, span.start)
        width = min(span.end - span.start, len(source) - column + 1)
        shown, ends = source if len(source) < LONGEST_LINE else None, position(text, span.end)
        return Place(file, line, column, None, None, None, shown, max(width, 0), *ends)

    def after(self, changed: Mapping[str, tuple[str, str]]) -> Checkpoint:
        """Return the checkpoint with the texts that changed files have after a patch, given with those before."""
        files = {**self.files, **{file: text for file, (_, text) in changed.items()}}
        return replace(self, files=files, _documents={}) if changed else self

    def with_templates(self, templates: Mapping[str, str]) -> Checkpoint:
        """Return the checkpoint with these templates in files of their own, in place of all that it has."""
        edits: list[tuple[str, Edit]] = []
        for file in (CONFIG, PROCESSOR, LEGACY):
            document = self.document(file)
            keys = [member.key for member in document.root.members] if document else []
            if document and "chat_template" in keys:
                edits += [(file, edit) for edit in remove_entries(document.root, {keys.index("chat_template")})]
        bare = self.apply(edits)
        own = {copy.file for copy in bare.templates}
        files = {file: text for file, text in bare.files.items() if file not in own}
        return replace(bare, files={**files, **templates}, _documents={})

    def apply(self, edits: Iterable[tuple[str, Edit]]) -> Checkpoint:
        """Return the checkpoint with each edit made in its file. Raises as `edits.apply` does."""
        by_file: dict[str, list[Edit]] = {}
        for file, edit in edits:
            by_file.setdefault(file, []).append(edit)
        changed = {file: apply_edits(self.files[file], some) for file, some in by_file.items()}
        unchanged = {file: json for file, json in self._documents.items() if file not in changed}
        return replace(self, files={**self.files, **changed}, _documents=unchanged)


def is_template_file(path: Path) -> bool:
    """Whether a path is that of a chat template in a file of its own."""
    return path.name.endswith(SUFFIXES) and not path.is_dir()


def folder_of(name: str) -> Path:
    """Return the folder that the files of a model lie in: the directory itself, or that of a template file."""
    path = Path(name)
    return path.parent if is_template_file(path) else path


def _listing(root: Path, name: str) -> frozenset[str]:
    try:
        return frozenset(entry.name for entry in os.scandir(root))
    except FileNotFoundError:
        raise CheckpointError(f"{name}: no such directory") from None
    except NotADirectoryError:
        raise CheckpointError(
            f"{name}: this is a file; name its directory, or else a template or a GGUF file "
            f"({', '.join([*SUFFIXES, GGUF])})"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{name}: the directory can't be read: {_reason(error)}") from None


def _additional(root: Path, name: str) -> Iterator[str]:
    folder = root / ADDITIONAL
    if folder.is_dir():
        refuse_outside(root, ADDITIONAL.rstrip("/"), name)
        for file in sorted(_listing(folder, f"{name}/{ADDITIONAL.rstrip('/')}")):
            if file.endswith(".jinja"):
                yield ADDITIONAL + file


def _read(root: Path, file: str, where: str) -> bytes:
    path = root / file
    refuse_outside(root, file, where.removesuffix(f"/{file}"))
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "directory" if stat.S_ISDIR(status.st_mode) else "device or pipe"
            raise CheckpointError(f"{where}: this is a {what}, not a file")
        refuse_large(where, file, status.st_size)
        return path.read_bytes()
    except FileNotFoundError:
        advice = "download the file itself" if path.is_symlink() else "it vanished while it was read"
        raise CheckpointError(f"{where}: the link leads nowhere; {advice}") from None
    except OSError as error:
        raise CheckpointError(f"{where}: the file can't be read: {_reason(error)}") from None


def refuse_large(where: str, file: str, size: int) -> None:
    """Raise CheckpointError where a file is larger than one of its name is read."""
    largest = LARGEST.get(file, LARGEST_OTHER)
    if size > largest:
        raise CheckpointError(
            f"{where}: {size / 2**20:,.0f} MB are more than a file of this kind holds; "
            f"at most {largest // 2**20} MB are read"
        )


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
