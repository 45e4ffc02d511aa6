"""What strangers wrote stays text in the Markdown that is sent to the Hub, as a parser of CommonMark reads it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from template_fix.share.markdown import code_block, code_span, escape_prose
from template_fix.text.display import make_presentable, one_line

# rich brings it.
PARSER = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable(["table", "strikethrough"])
HF = "hf_ABCDEFGHIJKLMNOPQRSTUVWXYZ01234567"

hostile = st.text(st.one_of(st.sampled_from("`*_[]()<>!#|~\\\n\t -+=1.:@/&;aA$'\""), st.characters()), max_size=60)


def inside(text: str) -> list[Any]:
    """The tokens of a text that is one paragraph."""
    opening, inline, closing = PARSER.parse(text)
    assert (opening.type, inline.type, closing.type) == ("paragraph_open", "inline", "paragraph_close")
    return inline.children or []


@given(hostile)
def test_a_code_span_reads_as_the_same_text(text: str) -> None:
    before, span, after = inside(f"in {code_span(text)}, so")
    assert (before.content, span.type, after.content) == ("in ", "code_inline", ", so")
    shown = one_line(text) or " "
    # CommonMark takes one space away on both sides where it stands on both; a line has none at its ends.
    assert span.content == shown


@given(hostile)
def test_prose_is_a_paragraph_of_nothing_but_text(text: str) -> None:
    for around in ("{}", "{}: then", "so {}"):
        if not (told := around.format(escape_prose(text))).strip():
            continue
        assert {token.type for token in inside(told)} <= {"text", "text_special"}
        read = "".join(token.content for token in inside(told))
        assert read.replace("\u2060", "") == around.format(one_line(text)).strip()


@given(hostile)
def test_prose_in_a_list_stays_in_its_item(text: str) -> None:
    kinds = [token.type for token in PARSER.parse(f"- error: {escape_prose(text)} ({code_span(text)})\n- next")]
    assert kinds.count("list_item_open") == 2
    assert not {"heading_open", "html_block", "fence", "table_open", "blockquote_open", "hr"} & set(kinds)


@given(st.lists(hostile).map("\n".join), st.sampled_from(["", "diff"]))
def test_a_block_of_code_holds_all_of_its_text_and_ends_where_it_should(text: str, language: str) -> None:
    block, *after = PARSER.parse(f"{code_block(text, language)}\n\nso")
    assert (block.type, block.info, len(after)) == ("fence", language, 3)
    rows = text.removesuffix("\n").split("\n")
    if "\r" not in text:
        assert block.content.removesuffix("\n") == "\n".join(
            "\t".join(map(make_presentable, row.split("\t"))) for row in rows
        )


@pytest.mark.parametrize("text", ["@octocat", "cc @octocat,", "see #123", "org/repo#1", "me@example.com"])
def test_nobody_is_told_and_nothing_is_linked(text: str) -> None:
    assert not re.search(r"[@#]\w", escape_prose(text))


@pytest.mark.parametrize("text", ["https://evil.example", "HTTP://evil.example/x", "WWW.evil.example"])
def test_an_address_is_no_link_on_the_hub_either(text: str) -> None:
    assert not re.search(r"://|www\.", escape_prose(text), re.IGNORECASE)


@pytest.mark.parametrize("put", [escape_prose, code_span, code_block])
def test_no_secret_and_no_control_character_is_sent(put: Any) -> None:
    told = put(f"\x1b[2J\u202e {HF} https://me:pass@host\x07")
    assert HF not in told and "pass" not in told
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", told)


@pytest.mark.parametrize("size", [10**3, 10**6])
def test_what_is_long_is_cut(size: int) -> None:
    assert len(escape_prose("*" * size)) <= 2000
    assert len(code_span("`" * size)) <= 3100
    assert len(code_block("é" * size)) <= 500
    long = code_block("+ a row\n" * size, "diff", rest="the commit shows the rest")
    assert len(long) <= 20_100
    assert size < 10**4 or long.endswith("\n… the commit shows the rest\n```")
