"""Other spellings of a template that print the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

from jinja2 import nodes

from template_fix.jinja.queries import undeclared, walk
from template_fix.jinja.templates import Template, Token, lex

Spelling = Callable[[str, Random], str]


def joined(tokens: list[Token], text: Callable[[int, Token], str]) -> str:
    return "".join(text(index, token) for index, token in enumerate(tokens))


def spacing(source: str, random: Random) -> str:
    """Other whitespace inside of tags: more, or none where an operator stands beside it."""
    tokens = lex(source)

    def text(index: int, token: Token) -> str:
        if token.kind != "whitespace":
            return token.text
        beside = {tokens[index - 1].kind, tokens[index + 1].kind}
        tight = beside & {"operator"} and not beside & {"block_begin", "variable_begin", "block_end", "variable_end"}
        return random.choice([" ", "  ", "\n ", "\t", *([""] if tight else [])])

    return joined(tokens, text)


def quotes(source: str, random: Random) -> str:
    """The other quotes around texts that hold none."""

    def text(_: int, token: Token) -> str:
        inner = token.text[1:-1]
        if token.kind != "string" or "'" in inner or '"' in inner or random.random() < 0.2:
            return token.text
        other = "'" if token.text[0] == '"' else '"'
        return f"{other}{inner}{other}"

    return joined(lex(source), text)


def dashes(source: str, random: Random) -> str:
    """Dashes where no whitespace is that they could take away, and none where they take none."""
    tokens = lex(source)

    def text(index: int, token: Token) -> str:
        before = tokens[index - 1].text[-1:] if index else ""
        after = tokens[index + 1].text[:1] if index + 1 < len(tokens) else ""
        if token.kind in ("block_begin", "variable_begin") and not before.isspace() and random.random() < 0.6:
            return token.text[:2] + ("" if token.text.endswith("-") else "-")
        if token.kind in ("block_end", "variable_end") and not (after + token.text[-1:]).isspace():
            bare = token.text.lstrip("-")
            keep = after.isspace() or token.text.endswith("\n") or random.random() < 0.4
            return token.text if keep else (bare if token.text.startswith("-") else f"-{bare}")
        return token.text

    return joined(tokens, text)


def names(source: str, random: Random) -> str:
    """Other names for what the template itself sets: variables, loop targets, macros and their parameters."""
    tree = Template(source).tree
    own = {node.name for node in walk(tree) if isinstance(node, nodes.Name) and node.ctx != "load"}
    own |= {node.name for node in walk(tree) if isinstance(node, nodes.Macro)}
    own -= undeclared(source)  # what a caller may pass has to keep its name
    other = {name: f"{random.choice(['my_', 'x', 'the_'])}{name}{number}" for number, name in enumerate(sorted(own))}
    tokens = lex(source)
    told = [index for index, token in enumerate(tokens) if token.kind not in ("whitespace", "gap")]
    place = {index: position for position, index in enumerate(told)}

    def text(index: int, token: Token) -> str:
        if token.kind != "name" or token.text not in other:
            return token.text
        before, after = tokens[told[place[index] - 1]], tokens[told[place[index] + 1]]
        keyword = after.text == "=" and before.text in ("(", ",")
        return token.text if before.text in (".", "|", "is") or keyword else other[token.text]

    return joined(tokens, text)


def comments(source: str, random: Random) -> str:
    """A comment between tags that stand side by side."""
    return re.sub(r"(?<=[%}]\})(?=\{[%{])", lambda _: random.choice(["{# note #}", "{#- x -#}", ""]), source)


def carriage_returns(source: str, _: Random) -> str:
    return source.replace("\n", "\r\n")


def one_line(source: str, _: Random) -> str:
    """Nothing of what the lexer drops, and blanks for line ends inside of tags."""

    def text(_: int, token: Token) -> str:
        if token.kind == "gap":
            return ""
        if token.kind in ("whitespace", "block_end", "comment_end"):
            return re.sub(r"\s*\n\s*", " " if token.kind == "whitespace" else "", token.text)
        return token.text

    return joined(lex(source), text)


SPELLINGS: dict[str, Spelling] = {
    "one line": one_line,
    "spacing": spacing,
    "quotes": quotes,
    "names": names,
    "dashes": dashes,
    "comments": comments,
    "carriage returns": carriage_returns,
}


def respelled(source: str, chosen: list[str], seed: int = 0) -> str:
    """A template in another spelling; what is chosen is made in the order of ``SPELLINGS``."""
    random = Random(seed)
    for name, spelling in SPELLINGS.items():
        source = spelling(source, random) if name in chosen else source
    return source
