"""Where a template reads the message of a turn, and where the variable is bound that it reads it from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from jinja2 import nodes

from template_fix.conversations.probe import Probe
from template_fix.jinja.queries import key_read, walk
from template_fix.jinja.renderer import REASONING_FIELDS
from template_fix.jinja.templates import Template
from template_fix.repair.proposers import Basis
from template_fix.repair.splice import tag_behind
from template_fix.text.edits import Edit, Span
from template_fix.trace.recorder import Site, Trace

_OF_A_MESSAGE = ("role", "content", "tool_calls")
KNOWN = (*_OF_A_MESSAGE, *REASONING_FIELDS)


class Binding(NamedTuple):
    """A variable that holds a message: its name, how it is read (``message['content']``), and where it is bound."""

    name: str
    read: str
    head: Span

    def access(self, key: str) -> str:
        """Return the expression that reads another key of the message in the template's own style."""
        return other_key(self.read, key)


def other_key(read: str, key: str) -> str:
    """Return the expression that reads another key of a message as ``read`` does the content."""
    return key.join(read.rsplit("content", 1))


def content_reader(node: nodes.Node) -> str:
    """Return the variable of which an expression reads the content, "" where it does something else."""
    name, key = key_read(node) or ("", "")
    return name if key == "content" else ""


@lru_cache(maxsize=2)
def reads(basis: Basis) -> tuple[Site, ...]:
    """Return where ``content`` is read from the message of an assistant, and not just looked at in a test.

    Found by experiment: the expressions whose value is an answer of the conversations in the battery.
    """
    holders: set[int] = set()
    trace = basis.trace
    for seen in basis.examined:
        answers = [part for part in seen.probe.parts if part.kind == "answer"]
        if seen.text is not None and answers and not seen.probe.text_lists:
            holders |= trace.record(seen.probe, wanted=answers[-1].text).holders
    tested = {number for test in trace.tests.values() for number in test.inside}
    found = (trace.values[each] for each in sorted(holders - tested))
    return tuple(site for site in found if content_reader(site.node))


def bindings(template: Template, read: Iterable[Site]) -> list[Binding]:
    """Return what binds the variables that these reads use, each once: a loop over messages, or a ``set``."""
    found: dict[Span, Binding] = {}
    for site in read:
        name = content_reader(site.node)
        if head := _head(template, name, site.span):
            found.setdefault(head, Binding(name, site.span.of(template.source), head))
    return list(found.values())


def _head(template: Template, name: str, read: Span) -> Span | None:
    """Return what gives ``name`` its value last before it is read."""
    found: Span | None = None
    for node in template.all_nodes:
        span, giving = template.span(node), _giving(node, name)
        head = template.span(giving) if giving else None
        if span and head and span.start < read.start and (isinstance(node, nodes.Assign) or read.end <= span.end):
            found = head
    return found


def _giving(node: nodes.Node, name: str) -> nodes.Node | None:
    """Return what stands last in the tag of a loop, a macro or a ``set`` that gives a variable its value."""
    if isinstance(node, nodes.Macro):
        return node.args[-1] if any(each.name == name for each in node.args) else None
    if isinstance(node, nodes.For | nodes.Assign) and isinstance(node.target, nodes.Name) and node.target.name == name:
        return node if isinstance(node, nodes.Assign) else node.test or node.iter
    return None


def access(template: Template, name: str, key: str) -> str:
    """Return the expression that reads a key of a message, in the style that the template has for this variable."""
    return f"{name}['{key}']" if f"{name}[" in template.source else f"{name}.{key}"


def with_keys(template: Template, binding: Binding, **changed: str) -> str:
    """Return the expression of a message with some keys changed: a mapping of all keys that the template reads of it.

    It is written out since many engines don't know ``dict(message, …)``, and one knows it and drops the message.
    """
    names = _names(template, binding.name)
    kept = {
        key: f"{binding.name}.get({given})" if given else access(template, binding.name, key)
        for key, given in _keys_read(template, names).items()
    }
    asked = [key for key in _keys_asked_for(template, names) if key not in changed]
    return _written_out(binding.name, {**kept, **changed}, asked)


def _written_out(name: str, items: Mapping[str, str], asked: Sequence[str]) -> str:
    """Return a mapping that has those keys which a template asks for, if the message has them."""
    if not asked:
        return "{" + ", ".join(f"'{key}': {value}" for key, value in items.items()) + "}"
    key, *others = asked
    without = {each: value for each, value in items.items() if each != key}
    present = {**items, key: items.get(key, f"{name}['{key}']")}
    return f"({_written_out(name, present, others)} if '{key}' in {name} else {_written_out(name, without, others)})"


def _names(template: Template, name: str) -> frozenset[str]:
    """Return all names that a template has for a message."""
    names = {name}
    while more := {each for node in template.all_nodes for each in _renamed(template, node, names)} - names:
        names |= more
    return frozenset(names)


def _keys_asked_for(template: Template, names: Collection[str]) -> list[str]:
    """Return the keys of a message that a template asks for by ``in``."""
    found = (
        node.expr.value
        for node in template.all_nodes
        if isinstance(node, nodes.Compare) and isinstance(node.expr, nodes.Const) and isinstance(node.expr.value, str)
        if any(each.op in ("in", "notin") and _is_named(each.expr, names) for each in node.ops)
    )
    return list(dict.fromkeys(found))


def _keys_read(template: Template, names: Collection[str]) -> dict[str, str]:
    """Return the keys that a template reads of a message, with what it gives ``get``.

    A key that is read by ``get`` has to be copied by it, too: else it would be there, and no default would be taken.
    """
    found: dict[str, str] = {}
    for node in template.all_nodes:
        name, key = key_read(node) or ("", "")
        if name in names:
            args = node.args if isinstance(node, nodes.Call) else ()
            found[key] = ", ".join(map(template.text, args)) or found.get(key, "")
    return found


def _renamed(template: Template, node: nodes.Node, names: Collection[str]) -> Iterator[str]:
    """Yield the names that a message has besides ``names``: variables that are set to it, parameters that it is for."""
    if isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name) and _is_named(node.node, names):
        yield node.target.name
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
        macros = [each for each in template.all_nodes if isinstance(each, nodes.Macro) and each.name == node.node.name]
        for macro in macros:
            yield from (to.name for to, given in zip(macro.args, node.args, strict=False) if _is_named(given, names))
        yield from (given.key for given in node.kwargs if macros and _is_named(given.value, names))


def _is_named(node: nodes.Node, names: Collection[str]) -> bool:
    return isinstance(node, nodes.Name) and node.name in names


def own_keys(template: Template, name: str) -> list[str]:
    """Return the keys that a template reads of a message and that are its own: no other takes them."""
    read = (key_read(node) for node in template.all_nodes)
    return list(dict.fromkeys(key for of, key in filter(None, read) if of == name and key not in KNOWN))


def rebind(template: Template, binding: Binding, test: str, assigned: str) -> Edit:
    """Return the edit that gives a message's variable the value ``assigned`` where ``test`` holds."""
    return tag_behind(template, binding.head.end, (test, f"{{%- set {binding.name} = {assigned} %}}"))


def enclosing_loops(template: Template, at: Span) -> Iterator[nodes.For]:
    """Yield the loops around a place, the outermost first."""
    for node in template.all_nodes:
        span = template.span(node)
        if isinstance(node, nodes.For) and span and span.start < at.start < span.end:
            yield node


def asked_around(template: Template, at: Span, test: str) -> bool:
    """Whether a place is in what a choice of the template prints where just this test holds."""
    chosen = [
        node for node in template.all_nodes if isinstance(node, nodes.CondExpr) and template.text(node.test) == test
    ]
    spans = map(template.span, (node.expr1 for node in chosen))
    return any(span.start <= at.start and at.end <= span.end for span in spans if span)


def message_name(template: Template, at: Span) -> str:
    """Return the variable that holds the message around a place: of a loop, or a macro's parameter, "" for none."""
    for node in template.all_nodes:
        span = template.span(node)
        if isinstance(node, nodes.For | nodes.Macro) and span and span.start < at.start < span.end:
            names = [node.target] if isinstance(node, nodes.For) else node.args
            keys = [key_read(each) for each in walk(node)]
            for name in names:
                if isinstance(name, nodes.Name) and any((name.name, key) in keys for key in _OF_A_MESSAGE):
                    return name.name
    return ""


def first_output(trace: Trace, probe: Probe, message: int, upto: int | None = None, behind: int = 0) -> Site | None:
    """Return the expression that is printed first of a message, in the conversation up to there or to ``upto``.

    Only expressions that stand behind the offset ``behind`` count: those of macros come before what calls them. Another
    loop may print the messages in front of it once the conversation has gone on: what tells is the text.
    """
    before, with_it = (
        [(number, text) for number, text in trace.record(probe, end).outputs if text]
        for end in (message, upto or message + 1)
    )
    same = next((i for i, (a, b) in enumerate(zip(before, with_it, strict=False)) if a[1] != b[1]), len(before))
    sites = (trace.outputs[number] for number, _ in with_it[same:])
    return next((site for site in sites if site.span.start >= behind), None)


def leftmost(template: Template, site: Site) -> Span:
    """Return where the text begins that an output prints: its first operand."""
    leaf = site.node
    while isinstance(leaf, nodes.BinExpr | nodes.Concat):
        leaf = leaf.left if isinstance(leaf, nodes.BinExpr) else leaf.nodes[0]
    return template.span(leaf) or site.span
