"""Delimiters that have no name for reasoning, that a variable or a system prompt brings out, or that a cut shows."""

from __future__ import annotations

import pytest

from template_fix.conversations.discovery import Asked, asking, discover, find_asked, find_by_cutting
from template_fix.conversations.tags import Tags
from template_fix.jinja.renderer import Renderer
from template_fix.jinja.templates import Template

TURNS = (
    "{{% for m in messages %}}{{% if m.role == 'assistant' %}}A: {}\n{{% else %}}Q: {{{{ m.content }}}}\n{{% endif %}}"
)
PROMPT = "{{% endfor %}}{{% if add_generation_prompt %}}A: {}{{% endif %}}"


def chat(turn: str, prompt: str = "") -> str:
    return TURNS.format(turn) + PROMPT.format(prompt)


def found(text: str) -> Tags | None:
    return discover(Renderer(text), Template(text).tree)


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        pytest.param(
            chat("{% if m.reasoning_content %}My steps: {{ m.reasoning_content }}\nSo: {% endif %}{{ m.content }}"),
            Tags("My steps:", "So:", " ", "\n", " "),
            id="words around a field",
        ),
        pytest.param(
            chat("{% if m.rationale %}<<{{ m.rationale }}>>\n{% endif %}{{ m.content }}"),
            Tags("<<", ">>", "", "", "\n"),
            id="a field of the template's own",
        ),
        pytest.param(
            TURNS.replace("A: ", "{{% if m.thinking %}}(({{{{ m.thinking }}}})) {{% endif %}}A: ").format(
                "{{ m.content }}"
            )
            + "{% endfor %}",
            Tags("((", "))", "", "", " "),
            id="words in front of a header",
        ),
        pytest.param(
            chat(
                "{% if deep | default(false) and m.thinking %}<muse>{{ m.thinking }}</muse>{% endif %}{{ m.content }}"
            ),
            Tags("<muse>", "</muse>", "", "", ""),
            id="a variable of the template's own that has to be true",
        ),
        pytest.param(
            "{% if messages[0].role != 'system' %}{{ raise_exception('no system') }}{% endif %}"
            + chat("{% if m.thinking %}<muse>{{ m.thinking }}</muse>{% endif %}{{ m.content }}"),
            Tags("<muse>", "</muse>", "", "", ""),
            id="behind a system prompt",
        ),
        pytest.param(
            chat("{% if m.thinking %}<muse>{{ m.thinking }}</muse>{% endif %}{{ m.content[0].text }}").replace(
                "{{ m.content }}", "{{ m.content[0].text }}"
            ),
            Tags("<muse>", "</muse>", "", "", ""),
            id="beside a content that is a list",
        ),
        pytest.param(
            chat("{% if m.thinking %}◁muse▷{{ m.thinking }}◁/muse▷{% endif %}{{ m.content }}"),
            Tags("◁muse▷", "◁/muse▷", "", "", ""),
            id="triangles",
        ),
        pytest.param(
            chat("{{ m.content.split('</cot>') | last }}"), Tags("<cot>", "</cot>"), id="a tag that is cut at"
        ),
        pytest.param(
            chat("{{ m.content if loop.last else m.content.rpartition('<|/ muse |>')[2] }}"),
            Tags("<| muse |>", "<|/ muse |>"),
            id="a tag that is cut at in history, with blanks inside",
        ),
        pytest.param(
            chat("{{ m.content.split('I conclude:')[1] if 'I conclude:' in m.content else m.content }}", "I ponder:"),
            Tags("I ponder:", "I conclude:"),
            id="a sentence that is cut at, and one that the prompt ends in",
        ),
        pytest.param(
            "{% set mark = '## Answer' %}" + chat("{{ m.content.split(mark)[-1] | trim }}", "## Steps"),
            Tags("## Steps", "## Answer"),
            id="a heading that a variable names",
        ),
        pytest.param(
            chat("[mull]{{ m.reasoning_content }} [/mull]{{ m.content }}"),
            Tags("[mull]", "[/mull]", "", " ", ""),
            id="a block that stands empty without reasoning",
        ),
        pytest.param(
            chat("<<steps begin>>\n{{ m.reasoning_content or '' }}\n<<steps end>>{{ m.content }}")
            .replace("<<", "<(")
            .replace(">>", ")>"),
            Tags("<(steps begin)>", "<(steps end)>", "\n", "\n", ""),
            id="a block that stands empty, named by its begin and end",
        ),
    ],
)
def test_delimiters_are_found_in_what_a_template_does(text: str, tags: Tags) -> None:
    assert found(text) == tags
    assert tags.paired


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(chat("{{ m | tojson }}"), id="a message that is printed as JSON"),
        pytest.param(chat("{{ m.thinking or '' }} {{ m.content }}"), id="a field with nothing around it"),
        pytest.param(chat("{{ m.content.split('</tool>')[-1] }}"), id="a cut at the end of something else"),
        pytest.param(chat("{{ m.content.split('I conclude:')[-1] }}"), id="a cut at words that nothing opens"),
        pytest.param(chat("{{ m.content.split('####') | join('####') }}"), id="a cut that loses nothing"),
        pytest.param(
            "{% set mark = '## A' %}{% set mark = '## B' %}" + chat("{{ m.content.split(mark)[-1] }}", "## Steps"),
            id="a cut at a variable that is set twice",
        ),
        pytest.param(
            chat("{% if m.channel %}<|in|>{{ m.channel }}<|say|>{% endif %}{{ m.content }}"), id="a field for a channel"
        ),
        pytest.param(
            chat("{% if m.thinking_mode %}<|mode|>{{ m.thinking_mode }}<|/mode|>{% endif %}{{ m.content }}"),
            id="a field for how to think",
        ),
        pytest.param(chat("[a]{{ m.reasoning_content }}[b]{{ m.content }}"), id="two marks that are no pair"),
    ],
)
def test_what_delimits_no_reasoning_is_not_taken_for_it(text: str) -> None:
    assert found(text) is None


def test_a_cut_is_not_tried_where_answers_are_not_printed() -> None:
    text = chat("{{ m.text.split('</cot>')[-1] }}")
    assert find_by_cutting(Renderer(text), Template(text).tree) is None


@pytest.mark.parametrize(
    ("text", "way"),
    [
        pytest.param(chat("{{ m.content }}"), Asked(), id="text"),
        pytest.param("{% for m in messages %}{{ m.content[0].text }}{% endfor %}", Asked(lists=True), id="lists"),
        pytest.param(
            "{% if messages[0].role == 'system' %}{% for m in messages %}{{ m.content }}{% endfor %}{% endif %}",
            Asked(system=True),
            id="a system prompt",
        ),
        pytest.param("nothing", Asked(), id="not at all"),
    ],
)
def test_a_template_is_asked_in_the_form_that_it_takes(text: str, way: Asked) -> None:
    assert asking(Renderer(text)) == way


@pytest.mark.parametrize("text", ["'<muse>' in m.content", "'</muse>' in m.content", "'</' in m.content"])
def test_what_belongs_to_a_tag_is_no_text_of_answers(text: str) -> None:
    tree = Template(f"{{% if {text} %}}{{% endif %}}{{% if '<answer>' in m.content %}}{{% endif %}}").tree
    assert find_asked(tree, Tags("<muse>", "</muse>")) == ["<answer>"]
