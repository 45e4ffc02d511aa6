"""Values as the engine reports them, for tests of the ways of telling."""

from __future__ import annotations

from template_fix.results import Evidence, Finding, Level, PatchResult, Place, Refusal, Repair, Report, TemplateSummary
from template_fix.text.edits import Edit, Span

LINE = "{% set content = content.split('</think>')[-1] %}"
BEFORE = '{\n  "chat_template": "…\\n' + LINE.replace("\n", "\\n") + '",\n  "x": 1\n}\n'
AT = BEFORE.index("content.split")
AFTER = BEFORE.replace("content.split", "content if preserve_thinking else content.split")

DROPPED = Finding(
    "TF201",
    Level.ERROR,
    "The last turn's reasoning is dropped.",
    Place("tokenizer_config.json", 2, 40, "default", 2, 18, LINE, 29),
    (
        Evidence(
            "a question and a turn that reasons inline",
            "<think>\nalpha\n</think>\n\nbeta",
            "<bos>beta",
            ("<think>\nalpha\n</think>",),
        ),
    ),
    "Print the content as it is.",
    "",
)
SPECIAL = Finding(
    "TF301",
    Level.ERROR,
    "<think> is special, so decoding skips it.",
    Place("tokenizer.json", 7, 5),
    fix="Flag it as an ordinary added token.",
    patch_with="",
)
PREFILLED = Finding("TF205", Level.WARNING, "The generation prompt opens a block that plain turns lack.")
CONTROL = Finding("TF301", Level.NOTE, "[THINK] is a control token by design.", Place("tokenizer.json", 9, 1))

TEMPLATE = TemplateSummary("tokenizer_config.json", "default", True, (("<think>", "</think>"),), 424, 412)
FOUND = Report("models/r1", (PREFILLED, DROPPED, SPECIAL), (TEMPLATE,))
LEFT = Report("models/r1", (PREFILLED,), (TEMPLATE,))
CLEAN = Report("models/ok", (), (TEMPLATE,))

BROKEN = Finding("TF102", Level.ERROR, "the template doesn't parse", Place("t.jinja", 1, 1))
UNTRIED = Report("models/bad", (BROKEN,), (TemplateSummary("t.jinja", "default", False, (), 0, 0),))

KEPT = Repair(
    ("TF201", "TF202"),
    "keep the content whole",
    "Every turn is printed with its reasoning.",
    "patch split-last",
    (("tokenizer_config.json", Edit(Span(AT, AT), "content if preserve_thinking else ")),),
)
REFUSED = Refusal(
    Repair(("TF203",), "print the field", "The field is printed.", "patch field", ()), "It doubles the opening tag."
)
PATCHED = PatchResult(FOUND, LEFT, (KEPT,), (REFUSED,), {"tokenizer_config.json": (BEFORE, AFTER)})
UNTOUCHED = PatchResult(CLEAN, CLEAN, (), (), {})
