"""Rows with their reasoning moved to where a template prints it as such: each one is rendered before it counts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, TextIO

from template_fix.conversations.rows import MESSAGES, BrokenRow, Row, names_reasoning, parsed, rows_of, with_messages
from template_fix.conversations.tags import closings
from template_fix.data.batches import Batch
from template_fix.data.losses import Verdict
from template_fix.data.row_check import RowCheck, in_parts
from template_fix.data.texts import Pairs, mapped, reasoning_blocks, reasoning_of, turns
from template_fix.data.troubles.kinds import OF_REASONING
from template_fix.data.troubles.reasoning import between, open_blocks, pairs_in
from template_fix.data.verdicts import verdict_on
from template_fix.jinja.renderer import REASONING_FIELDS

Message = dict[str, object]
Form = Callable[[Message, str], Message]
Fate = Literal["same", "rewritten", "repaired", "left", "unread"]


class Rewritten(NamedTuple):
    """What became of rows: how many were ``rewritten``, ``left`` in trouble as they were, or not read at all.

    ``repaired`` are those of the rewritten that only the repaired templates print right.
    """

    rows: int = 0
    rewritten: int = 0
    left: int = 0
    unread: int = 0
    repaired: int = 0


@dataclass(frozen=True)
class Rewriter:
    """Rewrites rows for a model: for its templates as they are, or where that isn't enough, for the repaired ones."""

    now: RowCheck
    repaired: RowCheck | None = None

    def rows(self, batches: Iterable[Batch]) -> Iterator[tuple[object, Fate]]:
        """Yield each row, rewritten where that helps, with what became of it. Templates run within limits."""
        for batch in batches:
            for part in in_parts(self.within, list(batch.rows), _untried):
                yield from part

    def written(self, batches: Iterable[Batch], out: TextIO) -> Rewritten:
        """Write all rows as JSON lines and return what became of them. Templates run within limits."""
        fates: Counter[Fate] = Counter()
        for row, fate in self.rows(batches):
            text = _line(row)
            out.write(f"{text}\n" if text else "")
            fates[fate] += 1
        done = fates["rewritten"] + fates["repaired"]
        return Rewritten(fates.total(), done, fates["left"], fates["unread"], fates["repaired"])

    def within(self, values: Iterable[object]) -> list[tuple[object, Fate]]:
        """Return each row with what became of it. Works inside of `limits.run_bounded` alone."""
        return [self._one(value) for value in values]

    def _one(self, value: Any) -> tuple[object, Fate]:
        try:
            row = parsed(value) if isinstance(value, (bytes, str)) else value
            conversations = rows_of(row, dict(self.now.columns))
        except BrokenRow:
            return value, "unread"
        before = [verdict_on(each, self.now.template(each)) for each in conversations]
        typed = any(reasoning_blocks(message) for each in conversations for message in each.messages)
        if not any(_moves(each) or (typed and each.failure) for each in before):
            return row, "same"
        for check in filter(None, (self.now, self.repaired)):
            for changed in self._forms(row, conversations, check.own):
                if _right(check, changed, before):
                    return changed, "rewritten" if check is self.now else "repaired"
        return row, "left"

    def _forms(self, row: Mapping[str, object], conversations: list[Row], own: Pairs) -> Iterator[dict[str, object]]:
        """Yield a row with its reasoning in each of the places where a template may print it."""
        columns = dict(self.now.columns)
        row = _joined(row, columns, [each.shown for each in conversations[0].troubles if each.kind == "column_unread"])
        # A closing tag that ends other things too (`<|end|>`) would end the turn that holds it.
        paired = [(opening, closing) for opening, closing in own if closing in closings(opening)]
        forms = (*(partial(_in_field, name) for name in REASONING_FIELDS), *(partial(_inline, pair) for pair in paired))
        listed = any(isinstance(message.get("content"), list) for each in conversations for message in each.messages)
        for change in (_moved, _moved_in_text) if listed else (_moved,):
            for form in forms:
                yield with_messages(row, columns, partial(change, form=form, tags=(*own, *self.now.tags)))


def _moves(verdict: Verdict) -> bool:
    """Whether reasoning isn't printed as such, so that it might be somewhere else."""
    return verdict.reasoning_lost > 0 or any(each.kind in OF_REASONING for each in verdict.troubles)


def _untried(rows: list[object], _: str) -> list[tuple[object, Fate]]:
    return [(value, "left") for value in rows]


def _line(row: object) -> str:
    """Return a row as a line of JSON; one that can't be read as it came, where it came as one line of text."""
    if isinstance(row, (bytes, str)):
        text = (row.decode("utf-8", "replace") if isinstance(row, bytes) else row).strip()
        return text if len(text.splitlines()) == 1 else ""
    return json.dumps(row, ensure_ascii=False, default=str) if isinstance(row, Mapping) else ""


def _joined(row: Mapping[str, Any], columns: Mapping[str, str], shown: list[str]) -> dict[str, object]:
    """Return a row with the reasoning of a column of its own put into the last turn, where that has none."""
    made = dict(row)
    names = [columns["messages"]] if "messages" in columns else MESSAGES
    for column in (text.partition(":")[0] for text in shown):
        name = next((name for name in names if isinstance(made.get(name), (list, tuple)) and made[name]), None)
        last = made[name][-1] if name else {}
        if name and isinstance(last, Mapping) and last.get("role") == "assistant" and not last.get("reasoning_content"):
            made[name] = [*made[name][:-1], {**last, "reasoning_content": made.pop(column)}]
    return made


def _moved(message: Message, form: Form, tags: Pairs) -> Message:
    """Return a turn with its reasoning in another form; other messages, and turns without any, as they are."""
    if message["role"] != "assistant":
        return message
    of_fields, of_content = list[str](), list[str]()

    def taken(text: str, reasoning: bool) -> str:
        if reasoning:
            of_fields.append(text.strip())
            return ""
        found, answer = _parted(text, tags)
        of_content.extend(found)
        return answer

    rest = {key: value for key, value in mapped(message, taken).items() if key == "content" or not names_reasoning(key)}
    reasoning = "\n\n".join(filter(None, dict.fromkeys((*of_fields, *of_content))))
    if isinstance(content := rest.get("content"), list):
        rest["content"] = [each for each in content if not isinstance(each, Mapping) or _says_something(each)]
    return form(rest, reasoning) if reasoning else message


def _says_something(block: Mapping[str, object]) -> bool:
    return block.get("text") != "" and not names_reasoning(str(block.get("type")))


def _parted(text: str, tags: Pairs) -> tuple[list[str], str]:
    """Return the reasoning in a text, and the text without it."""
    found: list[str] = []
    otherwise = ((opening, near) for opening, _, near in open_blocks(text, tags) if near not in ("", opening))
    for opening, closing in dict.fromkeys((*pairs_in(text, tags), *otherwise)):
        if opening not in text and closing in text:
            text = opening + text  # it was opened in the prompt
        pattern = re.compile(rf"{re.escape(opening)}(.*?){re.escape(closing)}\s*", re.DOTALL)
        found += [inner for match in pattern.finditer(text) if (inner := match.group(1).strip())]
        text = pattern.sub("", text)
    return found, text.strip() if found else text


def _moved_in_text(message: Message, form: Form, tags: Pairs) -> Message:
    """Return what `_moved` does, with contents as text."""
    bare = _moved(message, lambda rest, reasoning: form(_in_text(rest), reasoning), tags)
    return bare if bare is not message else _in_text(message)


def _in_text(message: Message) -> Message:
    """Return a message with a list of one text block as text; one that is all reasoning leaves no text."""
    content = message.get("content")
    if content == []:
        return {**message, "content": ""}
    block = content[0] if isinstance(content, list) and len(content) == 1 else None
    text = block.get("text") if isinstance(block, Mapping) and block.get("type") == "text" else None
    return {**message, "content": text} if isinstance(text, str) else message


def _in_field(name: str, message: Message, reasoning: str) -> Message:
    return {**message, name: reasoning}


def _inline(pair: tuple[str, str], message: Message, reasoning: str) -> Message:
    block = f"{pair[0]}\n{reasoning}\n{pair[1]}"
    content = message.get("content")
    if isinstance(content, list):
        return {**message, "content": [{"type": "text", "text": f"{block}\n\n"}, *content]}
    return {**message, "content": f"{block}\n\n{content or ''}".rstrip()}


def _right(check: RowCheck, changed: Mapping[str, object], before: list[Verdict]) -> bool:
    """Whether a changed row is rendered with all of its reasoning between the model's own tags, and its answers.

    A row that had none of it can only have been printed with the braces of its lists.
    """
    rows = rows_of(changed, dict(check.columns))
    for row, old in zip(rows, before, strict=True):
        template = check.template(row)
        new = verdict_on(row, template)
        if not new.lossless or _moves(new) or new.answer < old.answer:
            return False
        printed = str(template.print(row))
        texts = [text for number in turns(row) for text in reasoning_of(row.messages[number], check.tags)]
        if not texts and old.reasoning:
            return False
        if not all(any(between(a, text, b, printed) for a, b in check.own) for text in texts):
            return False
    return True
