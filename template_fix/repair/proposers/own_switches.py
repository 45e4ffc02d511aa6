"""Switches that a template already has: what their absence means is the smallest repair there is.

Every variable that a template reads and nobody sets is tried as a boolean. Where one value mends conversations, the
proposal makes it the default, and ``preserve_thinking=false`` brings the former default back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from jinja2 import nodes

from template_fix.contract.examination import SAFE, Examination
from template_fix.jinja.folding import SWITCH
from template_fix.jinja.queries import operands, walk
from template_fix.jinja.templates import Template
from template_fix.repair.proposers import Proposal
from template_fix.repair.splice import in_front
from template_fix.text.edits import Edit


def proposals(template: Template, keeping: Mapping[str, bool], switch: str) -> Iterator[Proposal]:
    """Yield, for each variable that keeps reasoning at a value, the edit that makes this value its default.

    ``keeping`` is what `own_switches` returned, ``switch`` the test, in template syntax, that the edit is switched by.
    """
    for name, value in keeping.items():
        yield from _defaults(template, name, value, switch)


def find_booleans(template: Template, names: Iterable[str]) -> list[str]:
    """Return those variables that a template takes for true or false."""
    return [name for name in names if _is_boolean(template, name)]


def own_switches(examined: Examination, names: Iterable[str]) -> dict[str, bool]:
    """Return which of a template's own variables keep reasoning, with the value at which they do."""
    return {name: value for name in names for value in (False, True) if _mends(examined, name, value)}


def advice(examined: Examination, keeping: Mapping[str, bool]) -> str:
    """Return what a switch of the template's own is good for, "" where it has none; see `own_switches`."""
    wrong = [seen for seen in examined if examined.owed(seen.probe) and seen.breaks(*SAFE)]
    for name, value in keeping.items():
        flags = {**examined.flags, name: value}
        trial = Examination(examined.renderer, examined.probes.values(), examined.tags, flags)
        mended = sum(not trial.observe(seen.probe).breaks(*SAFE) for seen in wrong)
        if mended:
            call = f"{name}={str(value).lower()}"
            return f"; passing {call} mends {mended} of the {len(wrong)} conversations that the template prints wrong"
    return ""


def _is_boolean(template: Template, name: str) -> bool:
    """Whether a variable is asked for its truth, or defaults to one."""
    for node in template.all_nodes:
        if isinstance(node, nodes.If | nodes.CondExpr) and any(_is(each, name) for each in operands(node.test)):
            return True
        default = isinstance(node, nodes.Filter) and node.name in ("default", "d") and _is(node.node, name)
        default = default or (isinstance(node, nodes.CondExpr) and _is(node.expr1, name))
        if (default or (isinstance(node, nodes.Assign) and _is(node.target, name))) and any(
            isinstance(each, nodes.Const) and isinstance(each.value, bool) for each in walk(node)
        ):
            return True
    return False


def _mends(examined: Examination, name: str, value: bool) -> bool:
    """Whether a variable, set to a value, mends a conversation and breaks none."""
    trial = Examination(examined.renderer, examined.probes.values(), examined.tags, {name: value})
    if not any(trial.holds(seen.probe, held) for seen in examined.failing for held in seen.breaks(*SAFE)):
        return False
    return not any(
        held.property in SAFE and not trial.holds(seen.probe, held)
        for seen in examined
        if examined.owed(seen.probe)
        for held in seen.held
    )


def _defaults(template: Template, name: str, value: bool, switch: str) -> Iterator[Proposal]:
    own = name == SWITCH
    text = str(value).lower() if own else switch if value else f"not {switch}"
    spans = [span for node in _default_values(template, name, not value) if (span := template.span(node))]
    test = ("" if own else f"{switch} and ") + f"{name} is not defined"
    insert = f"{{%- if {test} %}}\n    {{%- set {name} = {str(value).lower()} %}}\n{{%- endif %}}"
    edits = tuple(Edit(span, text) for span in spans) or (in_front(template.source, insert),)
    yield Proposal(
        "TF202",
        "switch",
        f"let an absent {name} mean {str(value).lower()}",
        f"The template keeps reasoning where {name} is {str(value).lower()}, and that isn't its default.",
        edits[0].span,
        edits,
    )


def _default_values(template: Template, name: str, value: bool) -> Iterator[nodes.Const]:
    """Yield each constant that a variable takes where nobody sets it, however the template says so.

    That is ``x | default(false)``, a guarded ``set``, or ``set y = x if x is defined else false``.
    """
    for node in template.all_nodes:
        given: list[nodes.Node | None] = []
        if isinstance(node, nodes.Filter) and node.name in ("default", "d") and _is(node.node, name):
            given = [*node.args[:1]]
        elif isinstance(node, nodes.CondExpr) and _is_given(node.test, name):
            given = [other for one, other in ((node.expr1, node.expr2), (node.expr2, node.expr1)) if _is(one, name)]
        elif isinstance(node, nodes.If) and _is_given(node.test, name):
            given = [each.node for each in node.find_all(nodes.Assign) if _is(each.target, name)]
        yield from (each for each in given if isinstance(each, nodes.Const) and each.value is value)


def _is(node: nodes.Node | None, name: str) -> bool:
    return isinstance(node, nodes.Name) and node.name == name


def _is_given(test: nodes.Node, name: str) -> bool:
    """Whether a test asks if a variable was set."""
    return any(
        isinstance(each, nodes.Test) and each.name in ("defined", "undefined", "none") and _is(each.node, name)
        for each in walk(test)
    )
