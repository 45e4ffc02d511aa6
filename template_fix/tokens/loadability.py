"""Forms of the tokenizer files that a released transformers can't load, and the smallest edit after which it can.

Each was tried with 4.57.6 and 5.23.0; the slow tests try them again. Where an edit is known, it means the same to the
release that could load the file before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.json_file import Document
from template_fix.checkpoint.template_copies import ADDITIONAL, CONFIG, LEGACY
from template_fix.checkpoint.token_records import ADDED, FLAGS, MAP, NAMED, TOKENIZER
from template_fix.text.edits import Edit, Span
from template_fix.text.json_nodes import Array, Leaf, Member, Node, Object
from template_fix.text.json_spans import BOM, remove_entries
from template_fix.tokens.loaders import ADDITIONAL_LIST, EXTRA, has_decoder, lists_of_5

BOTH = ("transformers 4.57", "transformers 5")
FOUR, FIVE = BOTH
# Classes that transformers 5 writes into the files it saves and 4.57 doesn't know.
NEW_CLASSES = {"TokenizersBackend": "PreTrainedTokenizerFast", "PythonBackend": None, "SentencePieceBackend": None}
TYPE = '"__type": "AddedToken"'


class Obstacle(NamedTuple):
    """One form that can't be loaded: by which releases, where it is, what they say, and what is to be done.

    ``edits`` are empty where no edit is known to mean the same. ``grave`` is what stands between today's release and
    the tokenizer; a byte order mark is none, since whoever reads the file with another library never notices.
    """

    releases: tuple[str, ...]
    file: str
    span: Span
    message: str
    error: str
    fix: str
    edits: tuple[Edit, ...] = ()
    grave: bool = True


def obstacles(checkpoint: Checkpoint) -> tuple[Obstacle, ...]:
    """Return what keeps the released versions of transformers from loading the tokenizer.

    The edits of each are for the checkpoint as it is: make those of one, then ask again.
    """
    return tuple(each for find in _FINDERS for each in find(checkpoint))


def _byte_order_marks(checkpoint: Checkpoint) -> Iterator[Obstacle]:
    for file, text in checkpoint.files.items():
        unread = (file in (MAP, ADDED) and has_decoder(checkpoint)) or file == "generation_config.json"
        if file.endswith(".json") and text.startswith(BOM) and not unread:
            releases = (FIVE,) if file == "config.json" else BOTH
            message = "the file starts with a byte order mark"
            fix = "save it as UTF-8 without a byte order mark"
            error = "JSONDecodeError: Unexpected UTF-8 BOM"
            yield Obstacle(releases, file, Span(0, 1), message, error, fix, grave=False)


def _extra_lists(checkpoint: Checkpoint) -> Iterator[Obstacle]:
    """4.57 takes a mapping of names for ``extra_special_tokens``, where 5 writes a list."""
    for file in _read_by_both(checkpoint):
        document = checkpoint.document(file)
        member = document.member(EXTRA) if document else None
        if document and member and not isinstance(member.value, Object):
            full = isinstance(member.value, Array)
            message = f"{EXTRA} is {'a list, the form of transformers 5' if full else 'null'}"
            error = f"AttributeError: '{'list' if full else 'NoneType'}' object has no attribute 'keys'"
            edits = tuple(_as_additional(document, member)) if file == CONFIG else ()
            fix = f"name the list {ADDITIONAL_LIST}, which both releases read alike" if full else "write {}"
            yield Obstacle((FOUR,), file, member.span, message, error, fix, edits)


def _as_additional(document: Document, member: Member) -> Iterator[Edit]:
    """Give a list of ``extra_special_tokens`` the name that both releases read; an empty one becomes a mapping."""
    older = document.member(ADDITIONAL_LIST)
    if not isinstance(member.value, Array) or not member.value.items:
        yield Edit(member.value.span, "{}")
    elif older is None:
        yield Edit(member.key_span, f'"{ADDITIONAL_LIST}"')
    else:  # transformers 5 reads the new list alone
        yield Edit(older.value.span, member.value.span.of(document.text))
        yield from remove_entries(document.root, [document.root.members.index(member)])


def _classes(checkpoint: Checkpoint) -> Iterator[Obstacle]:
    document = checkpoint.document(CONFIG)
    node = document.get("tokenizer_class") if document else None
    if isinstance(node, Leaf) and node.value in NEW_CLASSES:
        older = NEW_CLASSES[str(node.value)]
        edits = (Edit(node.span, f'"{older}"'),) if older else ()
        fix = f"name {older}, which both releases load alike" if older else "save the tokenizer with transformers 4"
        error = f"ValueError: Tokenizer class {node.value} does not exist or is not currently imported."
        message = f"tokenizer_class {node.value} came with transformers 5"
        yield Obstacle((FOUR,), CONFIG, node.span, message, error, fix, edits)


def _bare_objects(checkpoint: Checkpoint) -> Iterator[Obstacle]:
    """A token with flags has to say that it is one, but in ``added_tokens_decoder`` and the map's own attributes."""
    document, mapped = checkpoint.document(CONFIG), checkpoint.document(MAP)
    overridden = {member.key for member in mapped.root.members} if mapped and not has_decoder(checkpoint) else set()
    if document:
        named = [member.value for member in document.root.members if member.key in {*NAMED} - overridden]
        yield from _bare(document, [*_items(document, ADDITIONAL_LIST), *_items(document, EXTRA), *named], BOTH)
    if mapped and (MAP, ADDITIONAL_LIST) in lists_of_5(checkpoint):
        yield from _bare(mapped, _items(mapped, ADDITIONAL_LIST), (FIVE,))


def _bare(document: Document, nodes: Iterable[Node], releases: tuple[str, ...]) -> Iterator[Obstacle]:
    bare = [node for node in nodes if isinstance(node, Object) and node.members and node.get("__type") is None]
    if bare:
        edits = tuple(_typed(document, node) for node in bare)
        message = f"{len(bare)} token{'s' * (len(bare) > 1)} with flags but without {TYPE}"
        error = "TypeError: Input must be a List[Union[str, AddedToken]]"
        fix = f"add {TYPE} to each, or write the text alone"
        yield Obstacle(releases, document.file, bare[0].span, message, error, fix, edits)


def _typed(document: Document, node: Object) -> Edit:
    first = node.members[0].key_span.start
    return Edit(Span(first, first), f"{TYPE},{document.text[node.span.start + 1 : first] or ' '}")


def _items(document: Document, key: str) -> tuple[Node, ...]:
    node = document.get(key)
    if isinstance(node, Array):
        return node.items
    return tuple(member.value for member in node.members) if isinstance(node, Object) else ()


def _null_decoder(checkpoint: Checkpoint) -> Iterator[Obstacle]:
    document = checkpoint.document(CONFIG)
    member = document.member("added_tokens_decoder") if document else None
    if document and member and isinstance(member.value, Leaf):
        edits = remove_entries(document.root, [document.root.members.index(member)])
        error = "AttributeError: 'NoneType' object has no attribute 'items'"
        yield Obstacle(BOTH, CONFIG, member.span, "added_tokens_decoder is null", error, "leave it out", edits)


def _added_tokens(checkpoint: Checkpoint) -> Iterator[Obstacle]:
    document = checkpoint.document(TOKENIZER)
    if document is None:
        return
    added = document.get("added_tokens")
    if added is None and not has_decoder(checkpoint):
        at = Span(document.root.span.start, document.root.span.start + 1)
        message = "there is no added_tokens, nor an added_tokens_decoder in its place"
        yield Obstacle(BOTH, TOKENIZER, at, message, "KeyError: 'added_tokens'", 'add "added_tokens": []')
    entries = [record for record in checkpoint.records if record.where == "added_tokens"]
    broken = [record for record in entries if any(getattr(record, key) is None for key in ("id", *FLAGS))]
    if broken:
        lacking = [key for key in ("id", *FLAGS) if getattr(broken[0], key) is None]
        many = f"{len(broken)} entries of added_tokens lack fields, the first one"
        message = f"{many if len(broken) > 1 else 'an entry of added_tokens lacks'} {', '.join(lacking)}"
        fix = "give each entry an id, a content and all five flags"
        yield Obstacle(BOTH, TOKENIZER, broken[0].span, message, f"Exception: missing field `{lacking[-1]}`", fix)


def _two_template_forms(checkpoint: Checkpoint) -> Iterator[Obstacle]:
    if LEGACY in checkpoint.files and any(file.startswith(ADDITIONAL) for file in checkpoint.files):
        error = "ValueError: Cannot load chat template due to conflicting files"
        fix = f"move the template of {LEGACY} to chat_template.jinja"
        yield Obstacle(BOTH, LEGACY, Span(0, 0), f"{ADDITIONAL} stands beside it (a processor is refused)", error, fix)


_FINDERS: tuple[Callable[[Checkpoint], Iterator[Obstacle]], ...] = (
    _byte_order_marks,
    _extra_lists,
    _classes,
    _bare_objects,
    _null_decoder,
    _added_tokens,
    _two_template_forms,
)


def _read_by_both(checkpoint: Checkpoint) -> tuple[str, ...]:
    return (CONFIG,) if has_decoder(checkpoint) else (CONFIG, MAP)
