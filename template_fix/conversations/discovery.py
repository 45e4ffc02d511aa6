"""Which texts delimit reasoning in a template: found in what it prints, in its literals, and by experiment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from jinja2 import nodes

from template_fix.conversations.tags import MARKUP, NAMED, REASONING, Tags, closings, pairs
from template_fix.jinja.queries import key_read, optional, walk
from template_fix.jinja.renderer import REASONING_FIELDS, Failure, Renderer
from template_fix.text.edits import common_prefix

# What a channel for reasoning is called where a template opens none.
_CHANNEL = "thought"
# What a template calls a field of its own that has the text of reasoning; others name a channel, or an effort.
_FIELD = re.compile(r"(?i)(\w+_)?(thoughts?|thinking|reasoning|rationale|reflections?)(_(content|text|trace))?")
# Templates cut tags with these names out of contents as well, but they don't delimit reasoning.
_OTHERS = re.compile(r"tool|call|func|image|video|audio|media|sys", re.IGNORECASE)
# What has a mark in it and is more than one is no key of a message.
_MARKED = re.compile(r"(?s)^(?=.*[^\w./&$ ])...+")
_CUTS = ("split", "rsplit", "partition", "rpartition", "find", "rfind", "index", "rindex")
_QUESTION, _REASONING, _ANSWER = "Which word comes first?", "It is the one before.", "The second one follows."


class Asked(NamedTuple):
    """How a template takes conversations: with contents that are lists of text blocks, and behind a system prompt."""

    lists: bool = False
    system: bool = False

    def messages(self, *told: str, **turn: object) -> list[dict[str, object]]:
        """Return a question and the turns and questions behind it, the first turn with more keys."""
        front = [self._message("system", "Answer in one sentence.")] if self.system else []
        rest = (self._message("user" if at % 2 else "assistant", text) for at, text in enumerate(told))
        made = [*front, self._message("user", _QUESTION), *rest]
        return [{**each, **turn} if at == len(front) + 1 else each for at, each in enumerate(made)]

    def _message(self, role: str, text: str) -> dict[str, object]:
        return {"role": role, "content": [{"type": "text", "text": text}] if self.lists else text}


def asking(renderer: Renderer) -> Asked:
    """Return the simplest form of a question and its answer that a template prints; if none, the usual one."""
    ways = (Asked(lists, system) for lists in (False, True) for system in (False, True))
    return next((way for way in ways if _prints(renderer(way.messages(_ANSWER)), _QUESTION, _ANSWER)), Asked())


def _prints(text: str | Failure, *told: str) -> bool:
    return isinstance(text, str) and all(each in text for each in told)


def literals(tree: nodes.Template) -> Iterator[str]:
    """Yield every text that a template holds: its own and its string constants; comments are none."""
    for node in walk(tree):
        if isinstance(node, nodes.TemplateData):
            yield node.data
        elif isinstance(node, nodes.Const) and isinstance(node.value, str):
            yield node.value


def find_in_literals(tree: nodes.Template) -> tuple[str, str] | None:
    """Return the reasoning tags that a template's literals name most often, a closing tag alone being enough."""
    found = Counter(tag for text in literals(tree) for tag in MARKUP.findall(text) if REASONING.search(tag))
    openings = [_opening(tag) for tag in found if _is_closing(tag)]
    complete = [*pairs(found), *((tag, next(closings(tag))) for tag in openings)]
    if not complete:
        return None
    opening, closing = max(dict.fromkeys(complete), key=lambda pair: found[pair[0]] + found[pair[1]])
    if "channel" not in opening or opening.endswith("|>"):
        return opening, closing
    # A channel is named behind the tag that opens it: <|channel>thought.
    words = (re.match(r"\w+", text.partition(opening)[2]) for text in literals(tree) if opening in text)
    kind = next((word.group() for word in words if word and REASONING.search(word.group())), _CHANNEL)
    return opening + kind, closing


def find_in_prompt(renderer: Renderer) -> tuple[str, str] | None:
    """Return the reasoning tags of which a generation prompt ends with the opening one."""
    asked = renderer(asking(renderer).messages(), None, True)
    tags = [] if isinstance(asked, Failure) else list(MARKUP.finditer(asked.rstrip()))
    last = tags[-1] if tags else None
    if last is None or not REASONING.search(last.group()) or _is_closing(last.group()):
        return None
    return (last.group(), next(closings(last.group()))) if last.end() == len(str(asked).rstrip()) else None


def _is_closing(tag: str) -> bool:
    return bool(re.match(r"[<\[◁][|｜]?\s*/|<[^|>]+\|>$", tag))


def _opening(tag: str) -> str:
    return tag.replace("/", "", 1) if "/" in tag else f"<|{tag[1:-2]}>"


def find_by_cutting(renderer: Renderer, tree: nodes.Template) -> tuple[str, str] | None:
    """Return the delimiters of what a template cuts out of contents, found by having it cut a text in front of one.

    What opens is named by what closes, or is what the generation prompt ends in behind the header of a turn.
    """
    way = asking(renderer)
    if not _prints(renderer(way.messages(_ANSWER)), _ANSWER):
        return None
    for literal in dict.fromkeys(_cut_at(tree)):
        told = f"{_REASONING}\n{literal}\n{_ANSWER}"
        texts = (renderer(way.messages(told, *more)) for more in ((), (_QUESTION,)))
        if any(_prints(text, _ANSWER) and not _prints(text, _REASONING) for text in texts):
            opening = _opening(literal) if _is_closing(literal) else _end_of_prompt(renderer, way)
            if opening and opening != literal:
                return opening, literal
    return None


def _cut_at(tree: nodes.Template) -> Iterator[str]:
    """Yield the texts at which a template cuts others in two."""
    texts = _texts(tree)
    for node in tree.find_all(nodes.Call):
        if isinstance(node.node, nodes.Getattr) and node.node.attr in _CUTS and node.args:
            text = texts(node.args[0])
            if len(text.strip()) > 3 and not _OTHERS.search(text):
                yield text.strip()


def _texts(tree: nodes.Template) -> Callable[[nodes.Node], str]:
    """Return what tells the text of a constant, or of a name that is set to one and to nothing else; else ""."""
    given: dict[str, list[nodes.Node]] = {}
    for node in tree.find_all(nodes.Assign):
        if isinstance(node.target, nodes.Name):
            given.setdefault(node.target.name, []).append(node.node)

    def text(node: nodes.Node) -> str:
        if isinstance(node, nodes.Name) and len(given.get(node.name, ())) == 1:
            node = given[node.name][0]
        return node.value if isinstance(node, nodes.Const) and isinstance(node.value, str) else ""

    return text


def _end_of_prompt(renderer: Renderer, way: Asked) -> str:
    """Return what the generation prompt ends in where an answer would begin, "" where it ends with the header."""
    prompt, plain = renderer(way.messages(), None, True), renderer(way.messages(_ANSWER))
    if isinstance(prompt, Failure) or isinstance(plain, Failure):
        return ""
    return prompt[common_prefix(prompt, plain.partition(_ANSWER)[0]) :].strip()


def find_asked(tree: nodes.Template, tags: Tags) -> list[str]:
    """Return the texts besides its tags that a template looks for in contents, as far as they show in its tests.

    Words alone are no such texts: those are keys of messages.
    """
    texts = _texts(tree)
    asked = [texts(node.expr) for node in tree.find_all(nodes.Compare) if node.ops[0].op in ("in", "notin")]
    found = [text.strip() for text in (*asked, *_cut_at(tree))]
    others = [text for text in dict.fromkeys(found) if not _is_closing(text) and not REASONING.search(text)]
    known = (tags.open, tags.close, tags.before_call)
    return [
        text
        for text in others
        if _MARKED.search(text) and not _OTHERS.search(text) and not any(text in tag for tag in known)
    ]


def find_block_types(tree: nodes.Template) -> list[str]:
    """Return the types of blocks in contents that a template asks for, and that reasoning comes in."""
    found: dict[str, None] = {}
    for node in tree.find_all(nodes.Compare):
        of, kind = node.expr, node.ops[0].expr
        key = of.attr if isinstance(of, nodes.Getattr) else of.arg if isinstance(of, nodes.Getitem) else None
        key = key.value if isinstance(key, nodes.Const) else key
        if key == "type" and isinstance(kind, nodes.Const) and isinstance(kind.value, str):
            found |= {kind.value: None} if REASONING.search(kind.value) else {}
    return list(found)


def find_in_output(renderer: Renderer, tree: nodes.Template) -> Tags | None:
    """Return the tags between which a template prints reasoning that comes in a field, or None where it never does.

    Variables get the values that the template asks for: some print reasoning only where ``reasoning == 'always'``.
    Where no usual field is printed, one of the template's own may be.
    """
    way, own = asking(renderer), sorted(optional(tree) - {"enable_thinking", "tools"})
    named = {key for _, key in filter(None, map(key_read, walk(tree))) if _FIELD.fullmatch(key)}
    given = filter(None, (REASONING_FIELDS, sorted(named.difference(REASONING_FIELDS))))
    settings: list[dict[str, Any]] = [{}, {"enable_thinking": True}]
    settings += [{name: value} for name, value in asked_for(tree)] + [{name: True} for name in own]
    for fields, flags, tools in product(given, settings, (False, True)):
        around = partial(_around, renderer, way, fields, flags)
        if found := around(tools):
            return found if found.paired else _with_calls(found, around(True, answer=""))
    return None


def asked_for(tree: nodes.Template) -> list[tuple[str, str]]:
    """Return each variable that is compared with a text, with the text."""
    found: dict[tuple[str, str], None] = {}
    for node in walk(tree):
        if isinstance(node, nodes.Compare) and isinstance(node.expr, nodes.Name) and node.ops[0].op == "eq":
            text = node.ops[0].expr
            if isinstance(text, nodes.Const) and isinstance(text.value, str):
                found[node.expr.name, text.value] = None
    return list(found)


def _with_calls(tags: Tags, calling: Tags | None) -> Tags:
    """Return the tags with what closes a block in front of a call, where that is another than in front of an answer."""
    if calling is None or calling.open != tags.open or calling.close == tags.close:
        return tags
    return replace(tags, before_call=calling.close)


def _around(
    renderer: Renderer, way: Asked, fields: Iterable[str], flags: dict[str, object], tools: bool, answer: str = _ANSWER
) -> Tags | None:
    turn: dict[str, object] = {}
    if tools:
        call = {"name": "look", "arguments": {"at": "things"}}
        turn["tool_calls"] = [{"id": "call00001", "type": "function", "function": call}]
    plain = renderer(way.messages(answer, **turn), **flags)
    told = renderer(way.messages(answer, **turn, **dict.fromkeys(fields, _REASONING)), **flags)
    if isinstance(told, Failure) or _REASONING not in told or _QUESTION not in told:
        return None
    start = told.index(_REASONING)
    header = _behind(told[:start], _QUESTION)
    shown = "" if isinstance(plain, Failure) else _behind(plain, _QUESTION)
    behind = told[start + len(_REASONING) :]
    answered = bool(answer) and answer in behind
    between = behind[: behind.index(answer)] if answered else behind
    found = _delimiters(header, between, shown)
    # A message that is printed as JSON has the reasoning under each name.
    if found or not answered or answer not in shown or told.count(_REASONING) > 1:
        return found
    return _words(header, between, shown.partition(answer)[0])


def _behind(text: str, part: str) -> str:
    """Return what stands behind ``part``, or all of the text where it isn't there."""
    before, found, rest = text.partition(part)
    return rest if found else before


def _delimiters(header: str, behind: str, plain: str) -> Tags | None:
    """Cut the tags out of what a template prints before and behind a reasoning text.

    ``plain`` is what it prints for the same turn without reasoning: where the tag just before the reasoning has no
    closing partner (gpt-oss's ``<|message|>``), the opening reaches back to where the two begin to differ.
    """
    marks = list(MARKUP.finditer(header))
    closing = MARKUP.match(behind.lstrip())
    if not marks or not closing:
        return None
    close, first = closing.group(), marks[-1].start()
    opened, closed = list(NAMED.finditer(header.rstrip()))[-1:], NAMED.match(behind.lstrip())
    if opened and closed and opened[0]["name"] == closed["name"] and opened[0].end() == len(header.rstrip()):
        close, first = closed.group(), opened[0].start()
    elif close not in closings(marks[-1].group()):
        differs = next((i for i, (a, b) in enumerate(zip(header, plain, strict=False)) if a != b), first)
        first = max((mark.start() for mark in marks if mark.start() <= differs), default=first)
    opening = header[first:].rstrip()
    lead = header[first + len(opening) :]
    trail = behind[: len(behind) - len(behind.lstrip())]
    gap = behind.lstrip()[len(close) :]
    return Tags(opening, close, lead, trail, gap if not gap.strip() else "\n\n")


def _words(header: str, behind: str, shown: str) -> Tags | None:
    """Return the words of a template's own between which it prints reasoning.

    ``shown`` is what stands in front of an answer without any: all of it may stand in front of the block, or a part of
    it behind.
    """
    common = common_prefix(header, shown)
    opening, closing = header[common:], behind.removesuffix(shown[common:])
    if not opening:  # without reasoning the block stands empty
        marks = [header[mark.start() :] for mark in re.finditer(r"[<\[◁]", header)]
        opening = next((mark for mark in marks if behind.strip() in closings(mark.strip())), "")
        closing = behind
    open_, close = opening.strip(), closing.strip()
    if not open_ or not close or open_ == close:
        return None
    lead, trail = opening.partition(open_)[2], closing.partition(close)[0]
    return Tags(open_, close, lead, trail, closing[len(trail) + len(close) :])


def discover(renderer: Renderer, tree: nodes.Template, chosen: Sequence[str] | None = None) -> Tags | None:
    """Return the reasoning tags of a template, or None where it has no notion of reasoning.

    ``chosen`` overrides what is found.
    """
    field = find_in_output(renderer, tree)
    if field and (not chosen or tuple(chosen) == (field.open, field.close)):
        return field
    named = chosen or find_in_literals(tree) or find_in_prompt(renderer) or find_by_cutting(renderer, tree)
    return Tags(*named) if named else None
