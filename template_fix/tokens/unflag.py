"""Making reasoning tags ordinary: the consistent edit of every file that calls a tag special."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.json_file import Document
from template_fix.checkpoint.template_copies import CONFIG
from template_fix.checkpoint.token_records import ADDED, NAMED, TOKENIZER, TYPES, TokenRecord
from template_fix.text.edits import Edit, Span
from template_fix.text.json_nodes import Array, Leaf, Member, Object
from template_fix.text.json_spans import parse_at, remove_entries
from template_fix.tokens.loaders import BACKEND5, OWN5, has_decoder
from template_fix.tokens.stub_tokenizer import Vocabulary

_MOST_MISSING = 32
ENTRIES = ("added_tokens", "added_tokens_decoder", TYPES)


class Unflagged(NamedTuple):
    """The edits that make tags ordinary, and in ``notes``, one sentence each, what stays as it is and why."""

    edits: tuple[tuple[str, Edit], ...]
    notes: tuple[str, ...]


class _Plan(NamedTuple):
    """What is to be done about one tag."""

    flags: tuple[TokenRecord, ...] = ()
    removed: tuple[TokenRecord, ...] = ()
    missing: TokenRecord | None = None
    notes: tuple[str, ...] = ()


def unflag(checkpoint: Checkpoint, tags: Iterable[str], printed: Collection[str] = ()) -> Unflagged:
    """Return the edits after which no loader skips ``tags``; each stays an added token under the same id.

    ``printed`` are the names of variables that the templates use: an attribute such as ``think_token`` among them is
    kept. A tag that serves as padding, end or another named token is left alone.
    """
    plans = [_plan(checkpoint, tag, printed) for tag in dict.fromkeys(tags)]
    flags = [record for plan in plans for record in plan.flags]
    edits = [(record.file, Edit(flag_span(checkpoint, record), "false")) for record in flags]
    edits += _removals(checkpoint, [record for plan in plans for record in plan.removed])
    edits += _insertions(checkpoint, _numbered_right(checkpoint, plans))
    return Unflagged(tuple(edits), tuple(dict.fromkeys(note for plan in plans for note in plan.notes)))


def _plan(checkpoint: Checkpoint, tag: str, printed: Collection[str]) -> _Plan:
    records = checkpoint.records_of(tag)
    refusal = _refusal(tag, records)
    if refusal:
        return _Plan(notes=(refusal,))
    kept = [record for record in records if record.name and record.name in printed]
    listed = [record for record in records if not _entry(record) and record.file != ADDED and record not in kept]
    flags = [record for record in records if _entry(record) and record.special]
    return _Plan(tuple(flags), tuple(listed), _missing_entry(checkpoint, records), tuple(map(_cost, kept)))


def _entry(record: TokenRecord) -> bool:
    return record.where in ENTRIES


def _refusal(tag: str, records: Collection[TokenRecord]) -> str | None:
    roles = dict.fromkeys(record.name for record in records if record.name in NAMED)
    if roles:
        return f"{tag} is also the {' and '.join(roles)}, which loaders always skip, so it stays special"
    if records and not any(_entry(record) or record.file == ADDED for record in records):
        return f"{tag} is only listed as special and no file gives its id; off the list it would be split, so it stays"
    return None


def _cost(record: TokenRecord) -> str:
    losing = f"{BACKEND5} and {OWN5.removeprefix('transformers 5 ')}"
    return (
        f"{record.name} in {record.file} stays because the template prints it; "
        f"{losing} therefore still skip {record.content} in decoding"
    )


def _document(checkpoint: Checkpoint, file: str) -> Document:
    document = checkpoint.document(file)
    assert document is not None, "a record comes from a document"
    return document


def flag_span(checkpoint: Checkpoint, record: TokenRecord, flag: str = "special") -> Span:
    """Return where a record's flag is written, or the whole record where it has none."""
    node = parse_at(checkpoint.files[record.file], record.span.start)
    value = node.get(flag) if isinstance(node, Object) else None
    return value.span if value else record.span


def _removals(checkpoint: Checkpoint, records: Collection[TokenRecord]) -> Iterator[tuple[str, Edit]]:
    """Take entries out of lists and mappings, and attributes out of the file itself."""
    orders: dict[tuple[str, str], set[int]] = {}
    attributes = {(record.file, record.name) for record in records if record.where == record.name}
    for file in {file for file, _ in attributes}:
        keys = [member.key for member in _document(checkpoint, file).root.members]
        orders[file, ""] = {order for order, key in enumerate(keys) if (file, key) in attributes}
    for record in records:
        if record.where != record.name:
            orders.setdefault((record.file, record.where), set()).add(record.order)
    for (file, where), unwanted in orders.items():
        document = _document(checkpoint, file)
        container = document.get(where) if where else document.root
        if isinstance(container, (Array, Object)):
            yield from ((file, edit) for edit in remove_entries(container, unwanted))


def _missing_entry(checkpoint: Checkpoint, records: Collection[TokenRecord]) -> TokenRecord | None:
    """Return the entry to copy into ``added_tokens_decoder`` where that lacks a tag whose id another file gives.

    Some classes of transformers 5 take that mapping for the whole list and would split the tag.
    """
    if not has_decoder(checkpoint) or any(record.where == "added_tokens_decoder" for record in records):
        return None
    known = [record for record in records if record.id is not None]
    return min(known, key=lambda record: record.file != TOKENIZER, default=None)


def _numbered_right(checkpoint: Checkpoint, plans: Iterable[_Plan]) -> list[TokenRecord]:
    """Choose the missing entries that can go into ``added_tokens_decoder``, in the order of their ids.

    Those classes number what the vocabulary lacks in the order of the entries. So an entry goes in where its number
    comes out right, or where the tag had been listed as special, which put it at the end anyway.
    """
    chosen: list[TokenRecord] = []
    wanted = {plan.missing: bool(plan.removed) for plan in plans if plan.missing}
    for source in sorted(wanted, key=lambda record: record.id or 0):
        if wanted[source] or _numbered_after(checkpoint, source, chosen):
            chosen.append(source)
    return chosen


def _numbered_after(checkpoint: Checkpoint, source: TokenRecord, chosen: Collection[TokenRecord]) -> bool:
    """Tell whether an entry gets its own id: the vocabulary gives it that, or no other one is missing before it.

    Where very many are missing, it isn't worth the time to look all of them up, and the answer is no.
    """
    vocabulary = Vocabulary(checkpoint)
    if vocabulary.id_of(source.content) == source.id:
        return True
    entries = {record.id for record in checkpoint.records if record.where == "added_tokens_decoder"}
    entries |= {record.id for record in chosen}
    missing = (record for record in checkpoint.records if record.where == "added_tokens" and record.id not in entries)
    earlier = list(islice((record for record in missing if (record.id or 0) < (source.id or 0)), _MOST_MISSING + 1))
    return len(earlier) <= _MOST_MISSING and all(vocabulary.id_of(record.content) == record.id for record in earlier)


def _insertions(checkpoint: Checkpoint, sources: Collection[TokenRecord]) -> Iterator[tuple[str, Edit]]:
    document = checkpoint.document(CONFIG) if sources else None
    decoder = document.get("added_tokens_decoder") if document else None
    if document is None or not isinstance(decoder, Object):
        return
    last = decoder.members[-1] if decoder.members else None
    start = decoder.members[-2].span.end if len(decoder.members) > 1 else decoder.span.start
    between = document.text[start : last.span.start].lstrip("{").lstrip(",") if last else " "
    entries = [_spelled(document, last, source) for source in sources]
    at = last.span.end if last else decoder.span.start + 1
    text = "".join(f",{between}{entry}" for entry in entries) if last else ", ".join(entries)
    yield CONFIG, Edit(Span(at, at), text)


def _spelled(document: Document, model: Member | None, source: TokenRecord) -> str:
    """Write an entry of ``added_tokens_decoder`` in the layout of ``model``, another entry of it."""
    flags = {name: bool(getattr(source, name)) for name in ("lstrip", "normalized", "rstrip", "single_word")}
    values: dict[str, object] = {"content": source.content, **flags, "special": False}
    entry = parse_at(document.text, model.value.span.start) if model else None
    if model is None or not isinstance(entry, Object) or {member.key for member in entry.members} != values.keys():
        return f'"{source.id}": {json.dumps(values, ensure_ascii=False)}'
    text, at = f'"{source.id}"', model.key_span.end
    for member in entry.members:
        assert isinstance(member.value, Leaf), "tokens are strings and flags"
        text += document.text[at : member.value.span.start] + json.dumps(values[member.key], ensure_ascii=False)
        at = member.value.span.end
    return text + document.text[at : model.span.end]
