"""Putting an expression in the place of another, with parentheses only where they are needed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

from jinja2 import TemplateSyntaxError, nodes

from template_fix.jinja.folding import CAPTURED, SWITCH, fold, guard
from template_fix.jinja.queries import alike, parse
from template_fix.jinja.templates import NEWLINE, Template, lex
from template_fix.text.edits import Edit, Span, apply, written

# What a line of an edit may have, in templates that are laid out.
_WIDEST = 120
# By what lines are indented where no line of the template tells.
_STEP = "    "
_WRAPPED_AT = re.compile(r"'(?:[^'\\]|\\.)*'|, |.", re.DOTALL)
_WORDS = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"| (?:if|else|and|or) |.", re.DOTALL)
# A line that begins with a tag and has no other: how it is indented, and what kind of tag it is.
_LINE_OF_TAG = re.compile(r"([ \t]*)\{([%{])-?[ \t]*(\w*)(?:(?!\{[%{]).)*")
# Comments at the very beginning, where what follows them takes the white space behind them away.
_COMMENTS = re.compile(r"(?:\s*\{#.*?#\})+(?=\s+\{[%{]-)", re.DOTALL)
_GUARD = "|".join(re.escape(guard(default)) for default in (True, False))
# Yields other texts for one of the edits of a template.
_Shapes: TypeAlias = Callable[[Template, Sequence[Edit], int], Iterator[str]]
# A test that is nothing but one expression in parentheses.
_ALONE = re.compile(r"(\{%-? (?:if|elif) )\(((?:[^()]|\([^()]*\))*)\)( -?%\})")


def put_expression(at: Span, text: str) -> Edit:
    """Return the edit that puts the expression ``text`` at ``at``, safe wherever that is."""
    return Edit(at, f"({text})")


def in_front(source: str, tags: str) -> Edit:
    """Return the edit that puts tags, a line each, in front of a template, behind the comments that it begins with.

    Lines of their own are theirs only where a dash takes the last line break away again.
    """
    comments, lines = _COMMENTS.match(source), _indented(tags, "\n", step_of(source))
    if comments and not parse(comments.group()).body:
        return Edit(Span(comments.end(), comments.end()), lines)
    alone = source.startswith(("{%-", "{{-", "{#-"))
    return Edit(Span(0, 0), lines[1:] + "\n" if alone else _indented(tags, "", ""))


def behind_tag(template: Template, at: int, kind: str = "block_end") -> tuple[int, str, str]:
    """Return where the tag that ends behind ``at`` ends, the mark that ends it, as a statement has it, and the line
    break and indentation behind that, if any. White space that the mark strips stands behind that place."""
    end = next(token for token in lex(template.source) if token.kind == kind and token.start >= at)
    mark = "-%}" if end.text.startswith("-") else "%}"
    line = re.match(r"\r?\n[ \t]*", template.source[end.start + len(mark) :])
    return end.start + len(mark), mark, line.group() if line else ""


def tag_behind(template: Template, at: int, *guarded: tuple[str, str], kind: str = "block_end") -> Edit:
    """Return the edit that puts tags, each where a test holds, behind the one that ends behind ``at``.

    They are laid out as the template is. Whitespace is only put where the dash of the next tag takes it away again, in
    every Jinja there is. ``kind`` is how the tag ends: an output ends with ``variable_end``.
    """
    at, mark, line = behind_tag(template, at, kind)
    own = re.search(r"\n([ \t]*)(?:\{\{|\{%-?\s*(?:set|end\w+)\b)[^\n]*$", template.source[:at])
    outer = f"\n{own[1]}" if own and line else line.removeprefix("\r")
    step = step_of(template.source)
    inner = f"{outer}{step}" if line else ""
    shown = [(_asked(test, outer, step), _wrapped(tag, inner, step)) if line else (test, tag) for test, tag in guarded]
    tags = " %}".join(f"{outer}{{%- if {test} %}}{inner}{tag}{outer}{{%- endif" for test, tag in shown)
    return Edit(Span(at, at), f"{tags} {mark}")


@lru_cache(maxsize=8)
def step_of(source: str) -> str:
    """Return by what a template's lines are indented most often further than those in front of them."""
    indents = re.findall(r"^([ \t]*)\{[%{]", source, re.MULTILINE)
    steps = Counter(
        more.removeprefix(less) for less, more in pairwise(indents) if more != less and more.startswith(less)
    )
    return steps.most_common(1)[0][0] if steps else _STEP


def _indented(tags: str, inner: str, step: str) -> str:
    """Return tags of a line each, indented as a whole, or without lines in a template that has none there."""
    lines = [(tag, inner + before.replace(_STEP, step)) for before, tag in re.findall(r"( *)([^\n]*)", tags) if tag]
    return "".join(indent + _wrapped(tag, indent, step) if inner else tag for tag, indent in lines)


def _wrapped(tag: str, indent: str, step: str) -> str:
    """Return a tag with each key of its mapping on a line of its own, where it is too long for one."""
    if len(tag) + len(indent) <= _WIDEST:
        return tag
    parts, open_ = [], ""
    for token in _WRAPPED_AT.findall(tag[2:-2]):
        before = open_
        open_ = open_ + token if token in "({[" else open_[:-1] if token in ")}]" else open_
        if token == "{" and "{" not in before:
            token = f"{{{indent}{step}"
        elif token == "}" and "{" not in open_:
            token = f"{indent}}}"
        elif token == ", " and open_[-1:] == "{" and open_.count("{") == 1:
            token = f",{indent}{step}"
        parts.append(token)
    return f"{tag[:2]}{''.join(parts)}{tag[-2:]}"


def _asked(test: str, outer: str, step: str) -> str:
    """Return the test of a tag in front of which stands ``outer``: the line break and indentation."""
    indent = outer.removeprefix("\n")
    return _in_lines(test, indent + 2 * step, len(f"{indent}{{%- if "), len(" %}"))


def _in_lines(test: str, indent: str, front: int, behind: int, room: int = _WIDEST) -> str:
    """Return a test that is too long for its line in several, each but the first of which begins with an operator.

    It is the one that binds least. These lines are indented by ``indent``; ``front`` and ``behind`` are how much of the
    line is used before and after the test.
    """
    if front + len(test) + behind <= room:
        return test
    words = list(_with_depths(test))
    least = min(((depth, word == " and ", word) for word, depth in words if word in (" and ", " or ")), default=None)
    parts = [""]
    for word, depth in words:
        parts = [*parts, word[1:]] if least == (depth, word == " and ", word) else [*parts[:-1], parts[-1] + word]
    lines = [parts.pop(0)]
    while parts:
        part = parts.pop(0)
        used = (len(indent) if lines[1:] else front) + len(f"{lines[-1]} {part}") + (0 if parts else behind)
        lines = [*lines[:-1], f"{lines[-1]} {part}"] if used <= room else [*lines, part]
    return f"\n{indent}".join(lines)


def _with_depths(text: str) -> Iterator[tuple[str, int]]:
    """Yield the words of an expression, each with how many brackets are open behind it."""
    depth = 0
    for word in _WORDS.findall(text):
        depth += (word in "([{") - (word in ")]}")
        yield word, depth


def tag_in_front(template: Template, at: int, *guarded: tuple[str, str], kind: str = "block_begin") -> Edit:
    """Return the edit that puts tags, each where a test holds, in front of the one that ``at`` stands in.

    ``kind`` is how that begins: an output begins with ``variable_begin``. A tag may have lines, where there is room.
    """
    begin = [token for token in lex(template.source) if token.kind == kind and token.start < at][-1]
    dash = "-" if begin.text.endswith("-") else ""
    line = re.search(r"\n[ \t]*$", template.source[: begin.start]) if dash else None
    outer = line.group() if line else ""
    step = step_of(template.source)
    inner = f"{outer}{step}" if line else ""
    shown = [(_asked(test, outer, step) if line else test, _indented(tag, inner, step)) for test, tag in guarded]
    text = (f"{{%{dash} if {test} %}}{tag}{outer}{{%- endif %}}{outer}" for test, tag in shown)
    return Edit(Span(begin.start, begin.start), "".join(text))


def literal(text: str) -> str:
    """Return the string literal of a text in template syntax; line ends become what Jinja takes them for."""
    return "'" + NEWLINE.sub("\n", text).replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def tidy(template: Template, edits: Sequence[Edit]) -> list[Edit]:
    """Return the edits without those parentheses round a whole that change nothing, and with long ones wrapped.

    The tree of the result decides: it stays the same. Where the template has given the switch its default, its name is
    all that is asked.
    """
    kept = _shaped(template, _by_name(template, edits), _with_fewer_parentheses)
    for one, other in pairwise(sorted(range(len(kept)), key=lambda index: kept[index].span)):
        kept = _under_one_switch(template, kept, one, other)
    return _shaped(template, kept, _with_lines_broken)


def _by_name(template: Template, edits: Sequence[Edit]) -> list[Edit]:
    """Return the edits with the switch alone in place of its test with a default, behind where it is given one.

    That is done once, for all; a macro may be called from anywhere.
    """
    stored = [each for each in template.all_nodes if isinstance(each, nodes.Name) and each.name == SWITCH]
    given = [
        span.end
        for each in template.tree.body
        if isinstance(each, nodes.Assign)
        and isinstance(each.target, nodes.Name)
        and each.target.name == SWITCH
        and isinstance(each.node, nodes.Filter)
        and each.node.name in ("default", "d")
        and (span := template.span(each))
    ]
    if not given or sum(each.ctx != "load" for each in stored) > 1:
        return list(edits)
    apart = [template.span(each) for each in template.all_nodes if isinstance(each, nodes.Macro | nodes.CallBlock)]
    return [
        edit._replace(text=re.sub(_GUARD, SWITCH, edit.text))
        if edit.span.start > given[0] and not any(span and span.start < edit.span.start < span.end for span in apart)
        else edit
        for edit in edits
    ]


def _shaped(template: Template, edits: Sequence[Edit], shapes: _Shapes) -> list[Edit]:
    kept = list(edits)
    wanted = _tree(template, kept)
    for index, edit in enumerate(edits):
        for text in shapes(template, kept, index):
            tried = [*kept[:index], Edit(edit.span, text), *kept[index + 1 :]]
            if alike(_tree(template, tried), wanted):
                kept = tried
    return kept


def _under_one_switch(template: Template, edits: list[Edit], one: int, other: int) -> list[Edit]:
    """Return the edits with ``S or (A and B)`` in the place of ``(S or A) and (S or B)``.

    Whether that is the same is read from the trees with the switch on, and off.
    """
    first, second = edits[one], edits[other]
    if template.source[first.span.end : second.span.start].split() != ["and"]:
        return edits
    for switch in (guard(True), guard(False), CAPTURED, SWITCH):
        parts = [_opened_by(switch, each.text) for each in (first, second)]
        if not all(parts):
            continue
        before = apply(template.source, edits)
        for opening, closing in (
            (f"{switch} or ({parts[0]}", f"{parts[1]})"),
            (f"({switch} or {parts[0]}", f"{parts[1]})"),
        ):
            tried = list(edits)
            tried[one], tried[other] = Edit(first.span, opening), Edit(second.span, closing)
            after = apply(template.source, tried)
            if _tree(template, tried) and all(
                alike(fold(before, SWITCH, value), fold(after, SWITCH, value)) for value in (False, True)
            ):
                return tried
    return edits


def _opened_by(switch: str, text: str) -> str:
    """Return the test that holds in any case with the switch on, "" where the text is none of that form."""
    front = f"({switch} or "
    return text[len(front) : -1] if text.startswith(front) and text.endswith(")") else ""


def _with_lines_broken(template: Template, edits: Sequence[Edit], index: int) -> Iterator[str]:
    """Yield the text of an edit in several lines, where it stands in a tag that has a line by itself, too long for it.

    Only what asks for the switch is broken: what the template chose or tested by itself stays as it is.
    """
    edit, source = edits[index], template.source
    begin = source.rfind("\n", 0, edit.span.start) + 1
    alone = _LINE_OF_TAG.fullmatch(source[begin:].partition("\n")[0])
    if not alone or "\n" in edit.text or not (SWITCH in edit.text or CAPTURED in edit.text):
        return
    after, at = apply(source, edits), dict(written(edits))[edit]
    front, behind = at.start - after.rfind("\n", 0, at.start) - 1, len(after[at.end :].partition("\n")[0])
    if " else " not in edit.text:
        tags = filter(None, map(_LINE_OF_TAG.fullmatch, source.split("\n")))
        own = (len(tag[0]) for tag in tags if tag.group(2, 3) == alone.group(2, 3) and tag[0].endswith(("%}", "}}")))
        yield _in_lines(edit.text, alone[1] + 2 * step_of(source), front, behind, max([_WIDEST, *own]))
    elif front + len(edit.text) + behind > _WIDEST:
        yield _choice_in_lines(edit.text, alone[1], step_of(source))


def _choice_in_lines(text: str, indent: str, step: str) -> str:
    """Return a choice with a line for each part that the switch chooses between, and for what its test is too long."""
    whole, broken = text[:1] == "(" and text[-1:] == ")", False
    words, lines = list(_with_depths(text)), [""]
    for index, (word, depth) in enumerate(words):
        if word == " if " and depth == whole:
            test = "".join(each for each, _ in words[index + 1 :]).partition(" else ")[0]
            broken = SWITCH in test or CAPTURED in test
        breaks = broken and depth == whole and word in (" if ", " else ")
        lines = [*lines, word[1:]] if breaks else [*lines[:-1], lines[-1] + word]
    inner = indent + step
    tests = (_in_lines(line, inner + 2 * step, len(inner), 0) if line.startswith("if ") else line for line in lines)
    return f"\n{inner}".join(tests)


def _with_fewer_parentheses(template: Template, edits: Sequence[Edit], index: int) -> Iterator[str]:
    text = edits[index].text
    if text[:1] == "(" and text[-1:] == ")":
        yield text[1:-1]
    if _ALONE.search(text):
        yield _ALONE.sub(r"\1\2\3", text)


def are_alike(template: Template, one: Edit, other: Edit) -> bool:
    """Whether two edits of a template make the same program of it."""
    return alike(_tree(template, [one]), _tree(template, [other]))


def _tree(template: Template, edits: Sequence[Edit]) -> Sequence[nodes.Node]:
    """Return the statements of the edited template, none where it can't be read."""
    try:
        return parse(apply(template.source, edits)).body
    except TemplateSyntaxError:
        return []
