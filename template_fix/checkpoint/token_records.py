"""Added and special tokens as they are recorded: every entry of every file in one form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from json import JSONDecoder
from typing import Any, NamedTuple

from template_fix.checkpoint.json_file import Document, kind
from template_fix.checkpoint.template_copies import CONFIG
from template_fix.text.edits import Span
from template_fix.text.json_nodes import Array, Bulk, Leaf, Member, Node, Object

TOKENIZER = "tokenizer.json"
MAP = "special_tokens_map.json"
ADDED = "added_tokens.json"
# What a GGUF file says of tokens, as JSON; see `gguf`.
GGUF_TOKENS, TYPES = "tokenizer.ggml.tokens", "token_type"
NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
LISTS = ("additional_special_tokens", "extra_special_tokens", "model_specific_special_tokens")
_LONGEST_ID = 18
_MOST_NAMED = 1000
_PAIRS = JSONDecoder(object_pairs_hook=list)
FLAGS = ("special", "lstrip", "rstrip", "normalized", "single_word")


class TokenRecord(NamedTuple):
    """One entry that says something of a token.

    ``where`` is the member of the file that holds it: ``added_tokens``, ``added_tokens_decoder``, ``token_type`` of a
    GGUF file, a list such as ``additional_special_tokens``, an attribute such as ``pad_token``, or "" for
    added_tokens.json. ``name`` is the attribute's name where the entry gives it one, in a mapping of
    ``extra_special_tokens`` too, else "". ``id`` and the flags are None where the entry doesn't say. ``span`` is the
    entry's value, ``order`` its number in the list or mapping, ``listed`` is true for a list, false for a mapping.
    """

    file: str
    where: str
    content: str
    span: Span
    name: str = ""
    id: int | None = None
    special: bool | None = None
    lstrip: bool | None = None
    rstrip: bool | None = None
    normalized: bool | None = None
    single_word: bool | None = None
    order: int = 0
    listed: bool = False


def token_records(document: Callable[[str], Document | None]) -> tuple[TokenRecord, ...]:
    """Return all records of the files that ``document`` gives.

    Raises CheckpointError where an entry isn't a token or a key stands twice.
    """
    return tuple(_records(document))


def _records(document: Callable[[str], Document | None]) -> Iterator[TokenRecord]:
    tokenizer, config, token_map, added, gguf = map(document, (TOKENIZER, CONFIG, MAP, ADDED, GGUF_TOKENS))
    for listing, where in ((tokenizer, "added_tokens"), (gguf, TYPES)):
        if listing:
            yield from _added_tokens(listing, where)
    if config:
        yield from _decoder(config)
    for json in (config, token_map, gguf):
        if json:
            yield from _attributes(json)
    if added:
        for index, member in enumerate(added.members()):
            yield TokenRecord(added.file, "", member.key, member.value.span, id=_id(added, member.value), order=index)


def _added_tokens(json: Document, where: str) -> Iterator[TokenRecord]:
    node = json.get(where)
    if node is None:
        return
    if not isinstance(node, Array):
        raise json.error(node.span, f"{where} should be a list, not {kind(node)}")
    for index, item in enumerate(node.items):
        yield _numbered(json, where, item, index, None)


def _decoder(json: Document) -> Iterator[TokenRecord]:
    node = json.get("added_tokens_decoder")
    if node is None:
        return
    if not isinstance(node, Object):
        raise json.error(node.span, f"added_tokens_decoder should map ids to tokens, not be {kind(node)}")
    for index, member in enumerate(json.members(node)):
        if not member.key.isdecimal() or len(member.key) > _LONGEST_ID:
            raise json.error(member.key_span, f'an id should stand here, not "{member.key[:40]}"')
        yield _numbered(json, "added_tokens_decoder", member.value, index, int(member.key))


def _numbered(json: Document, where: str, node: Node, index: int, number: int | None) -> TokenRecord:
    """Read an entry with an id of its own; there may be thousands, so only a strange one is read with its places."""
    entry = _usual(node.span.of(json.text)) if isinstance(node, Bulk) else None
    if entry is None:
        node = json.read_at(node.span)
        its_id = number if number is not None else _id(json, _part(json, node, "id"))
        return _entry(json, where, node, index)._replace(id=its_id, listed=number is None)
    its_id = entry.get("id") if number is None else number
    special, lstrip, rstrip, normalized, single_word = map(entry.get, FLAGS)
    flags = (special, lstrip, rstrip, normalized, single_word)
    return TokenRecord(json.file, where, entry["content"], node.span, "", its_id, *flags, index, number is None)


def _usual(text: str) -> dict[str, Any] | None:
    """Return the entry that ``text`` holds if its keys and values are as they should be."""
    try:
        pairs: list[tuple[str, object]] = _PAIRS.decode(text)
    except ValueError:  # no JSON, or a number of thousands of digits
        return None
    entry = dict(pairs)
    types = {type(entry.get(flag)) for flag in FLAGS} <= {bool, type(None)} and type(entry.get("content")) is str
    sound = types and len(entry) == len(pairs) and type(entry.get("id")) in (int, type(None))
    return entry if sound else None


def _attributes(json: Document) -> Iterator[TokenRecord]:
    telling = {member.key for member in json.root.members if _tells_of_tokens(member)}
    members = tuple(member for member in json.root.members if member.key in telling)
    if len(telling) > _MOST_NAMED:  # templates get each as a variable, every time
        at = members[_MOST_NAMED].key_span
        raise json.error(at, f"{len(telling):,} attributes name a token; a tokenizer has at most {_MOST_NAMED:,}")
    for member in json.members(Object(json.root.span, members)):
        if isinstance(member.value, Leaf) and member.value.value is None:
            continue
        if member.key in LISTS:
            yield from _collection(json, member.key, member.value)
        else:
            yield _token(json, member.key, member.value, 0)._replace(name=member.key)


def _tells_of_tokens(member: Member) -> bool:
    """Tell ``"think_token": "<think>"`` from switches such as ``"add_bos_token": true``."""
    value = member.value
    text = isinstance(value, Object) or (isinstance(value, Leaf) and isinstance(value.value, str))
    return member.key in (*LISTS, *NAMED) or (text and member.key.endswith("_token"))


def _collection(json: Document, where: str, node: Node) -> Iterator[TokenRecord]:
    if isinstance(node, Array):
        for index, item in enumerate(node.items):
            yield _token(json, where, item, index)._replace(listed=True)
    elif isinstance(node, Object):
        for index, member in enumerate(json.members(node)):
            yield _token(json, where, member.value, index)._replace(name=member.key)
    else:
        raise json.error(node.span, f"{where} should be a list of tokens, not {kind(node)}")


def _token(json: Document, where: str, node: Node, index: int) -> TokenRecord:
    if isinstance(node, Object):
        return _entry(json, where, node, index)
    return TokenRecord(json.file, where, json.string(node, node.span, f"a token of {where}"), node.span, order=index)


def _entry(json: Document, where: str, node: Node, index: int) -> TokenRecord:
    if not isinstance(node, Object):
        raise json.error(node.span, f"a token of {where} should be an object with a content, not {kind(node)}")
    content = json.string(json.get("content", node), node.span, f"the content of a token of {where}")
    flags = [_flag(json, flag, _part(json, node, flag)) for flag in FLAGS]
    special, lstrip, rstrip, normalized, single_word = flags
    return TokenRecord(
        json.file, where, content, node.span, "", None, special, lstrip, rstrip, normalized, single_word, index
    )


def _part(json: Document, node: Node, key: str) -> Node | None:
    return json.get(key, node) if isinstance(node, Object) else None


def _flag(json: Document, name: str, node: Node | None) -> bool | None:
    if node is None:
        return None
    if isinstance(node, Leaf) and isinstance(node.value, bool):
        return node.value
    raise json.error(node.span, f"{name} should be true or false, not {kind(node)}")


def _id(json: Document, node: Node | None) -> int | None:
    if node is None:
        return None
    if isinstance(node, Leaf) and isinstance(node.value, int) and not isinstance(node.value, bool):
        return node.value
    raise json.error(node.span, f"an id should be a whole number, not {kind(node)}")
