from __future__ import annotations

import pytest
from jinja2 import nodes
from jinja2.meta import find_undeclared_variables
from shelf import NAMES, source

from template_fix.jinja.environment import environment
from template_fix.jinja.queries import alike, conditions, copy_tree, operands, parse, undeclared, walk
from template_fix.jinja.templates import Template


def expression(text: str) -> nodes.Node:
    output = parse("{{ " + text + " }}").body[0]
    assert isinstance(output, nodes.Output)
    return output.nodes[0]


def named(found: list[nodes.Node]) -> list[str]:
    return [node.name if isinstance(node, nodes.Name) else type(node).__name__ for node in found]


def test_a_source_is_parsed_once() -> None:
    assert parse("{{ x }}") is parse("{{ x }}")


@pytest.mark.parametrize("name", NAMES)
def test_what_changes_a_copy_leaves_the_tree_as_it_was(name: str) -> None:
    text = source(name)
    tree, copy = parse(text), copy_tree(parse(text))
    assert alike(tree, copy)
    assert not {id(node) for node in walk(tree)} & {id(node) for node in walk(copy)}
    environment().compile(copy)  # which folds constants in it
    undeclared(text)
    assert alike(tree, environment().parse(text))


@pytest.mark.parametrize("name", NAMES)
def test_a_tree_with_places_has_the_same_nodes_in_the_same_order(name: str) -> None:
    assert [type(node) for node in Template(source(name)).all_nodes] == [
        type(node) for node in walk(parse(source(name)))
    ]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("a.b", "a  .b", True, id="spacing"),
        pytest.param("1", "true", False, id="what Python takes for equal, and is printed differently"),
        pytest.param("1", "1.0", False, id="a number of another type"),
        pytest.param("'1'", "1", False, id="a text"),
        pytest.param("a.b", "a['b']", False, id="another way to read it"),
    ],
)
def test_trees_are_alike_where_they_print_the_same_everywhere(one: str, other: str, same: bool) -> None:
    assert alike(expression(one), expression(other)) is same
    assert alike([expression(one)], [expression(other)]) is same
    assert not alike([expression(one)], [])


def test_a_test_is_taken_apart_down_to_what_is_asked_for_its_truth() -> None:
    found = list(operands(expression("a and not (b or c == d)")))
    assert named(found) == ["And", "a", "Not", "Or", "b", "Compare"]


def test_the_conditions_of_a_template_are_its_tests_and_their_operands() -> None:
    tree = parse("{% if a %}{% elif b %}{% endif %}{{ x if c else y }}{% for m in z if d %}{{ m or n }}{% endfor %}")
    assert sorted(named(list(conditions(tree)))) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("name", NAMES)
def test_the_names_that_compiling_looks_up_are_those_that_jinja2_finds(name: str) -> None:
    tree = environment().parse(source(name))
    assert undeclared(source(name)) == find_undeclared_variables(tree)
