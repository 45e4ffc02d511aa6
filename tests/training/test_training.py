"""The report that this project began with, from end to end: a trainer, a model, and the reasoning that it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_model
from byte_tokenizer import tokenizer

from template_fix.cli.main import main

trl = pytest.importorskip("trl")

from template_fix import PreflightCallback, PreflightError, preflight  # noqa: E402 - the callback needs transformers

pytestmark = pytest.mark.slow

FORMS = pytest.mark.parametrize(
    "form",
    [
        pytest.param(tiny_model.inline, id="reasoning inside of the content"),
        pytest.param(tiny_model.in_field, id="reasoning in the field reasoning_content"),
    ],
)
QUESTION, REASONING, ANSWER = tiny_model.QUESTIONS[0]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    return tiny_model.written(tmp_path / "model")


@pytest.fixture
def mended(broken: Path) -> Path:
    # TF205 remains: the prompt opens a block, and a plain turn has none.
    assert main(["patch", str(broken)]) == 0
    return broken


def rows(form: Any) -> list[dict[str, Any]]:
    return [form(*each) for each in tiny_model.QUESTIONS] * 2


def trainer(folder: Path, form: Any, callbacks: tuple[Any, ...] = (), **settings: Any) -> Any:
    from datasets import Dataset
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = {
        "output_dir": str(folder / "out"),
        "max_steps": 200,
        "per_device_train_batch_size": 4,
        "learning_rate": 2e-3,
        "lr_scheduler_type": "constant",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "logging_strategy": "no",
        "use_cpu": True,
        "bf16": False,
    }
    return trl.SFTTrainer(
        model=tiny_model.model(tokenizer),
        args=trl.SFTConfig(**config | settings),
        train_dataset=Dataset.from_list(rows(form)),
        processing_class=tokenizer,
        callbacks=list(callbacks),
    )


def labels(made: Any) -> str:
    """All that the first batch teaches, as text."""
    batch = next(iter(made.get_train_dataloader()))
    return "".join(made.processing_class.decode([each for each in row if each != -100]) for row in batch["labels"])


def said(made: Any) -> str:
    """The trained model's answer to the first question, as it is served."""
    tokenizer = made.processing_class
    asked = [{"role": "user", "content": QUESTION}]
    prompt = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    given = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
    told = made.model.eval().generate(**given, max_new_tokens=80, do_sample=False)[0]
    return str(tokenizer.decode(told, skip_special_tokens=True))


@FORMS
@pytest.mark.parametrize("settings", [{}, {"assistant_only_loss": False}], ids=["by default", "loss on all"])
def test_the_broken_template_teaches_no_reasoning(broken: Path, form: Any, settings: dict[str, Any]) -> None:
    made = trainer(broken, form, **settings)
    assert ANSWER in labels(made)
    assert REASONING not in labels(made)
    made.train()
    told = said(made)
    assert told.startswith(QUESTION) and len(told.split()) > len(QUESTION.split())
    assert REASONING not in told
    assert "think>" not in told


@FORMS
@pytest.mark.parametrize("settings", [{}, {"assistant_only_loss": False}], ids=["by default", "loss on all"])
def test_the_patched_template_teaches_it(mended: Path, form: Any, settings: dict[str, Any]) -> None:
    made = trainer(mended, form, (PreflightCallback(rows(form)),), **settings)
    assert f"<think>\n{REASONING}\n</think>" in labels(made)
    made.train()
    assert f"<think>\n{REASONING}\n</think>\n\n{ANSWER}" in said(made)


@FORMS
def test_the_marked_tokenizer_teaches_just_what_the_model_writes(broken: Path, form: Any) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(broken)
    preflight(tokenizer, fix=True, mark=True)
    tokenizer.save_pretrained(broken)
    made = trainer(broken, form, assistant_only_loss=True)
    turn = f"{REASONING}\n</think>\n\n{ANSWER}<|end|>"
    assert turn in labels(made)
    assert QUESTION not in labels(made) and "<|assistant|>" not in labels(made)


@FORMS
def test_the_callback_stops_the_broken_run_before_its_first_step(broken: Path, form: Any) -> None:
    made = trainer(broken, form, (PreflightCallback(rows(form)),))
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    with pytest.raises(PreflightError, match="4 cut out of the text"):
        made.train()
    assert made.state.global_step == 0
    assert all(value.equal(before[name]) for name, value in made.model.state_dict().items())


def test_the_answers_to_held_out_prompts_are_logged_with_the_evaluations(mended: Path) -> None:
    callback = PreflightCallback(
        rows(tiny_model.inline), prompts=rows(tiny_model.inline)[:2], max_new_tokens=40, every=100
    )
    made = trainer(mended, tiny_model.inline, (callback,))
    made.train()
    made.eval_dataset = made.train_dataset
    metrics = made.evaluate()
    names = ("reasoning_opened", "reasoning_closed", "reasoning_nonempty")
    assert [metrics[f"eval_{name}"] for name in names] == [1.0, 1.0, 1.0]
    logged = [entry for entry in made.state.log_history if "reasoning_opened" in entry]
    assert [entry["step"] for entry in logged] == [100, 200]


@pytest.mark.parametrize(
    "settings, why",
    [
        pytest.param({"packing": True, "max_length": 128}, "", id="packed rows"),
        pytest.param({"padding_free": True, "max_length": None}, "", id="rows without padding"),
        pytest.param({"max_length": 16}, "beyond the maximum length", id="rows that are cut off"),
    ],
)
def test_the_labels_are_read_however_they_were_made(mended: Path, settings: dict[str, Any], why: str) -> None:
    callback = PreflightCallback(rows(tiny_model.inline), mode="warn")
    made = trainer(mended, tiny_model.inline, (callback,), max_steps=1, **settings)
    if why:
        with pytest.warns(UserWarning, match=why):
            made.train()
    else:
        made.train()
        assert callback.labels is not None and callback.labels.reached == 4


def multiply(a: int, b: int) -> int:
    """Multiply two numbers.

    Args:
        a: One of them.
        b: The other.
    """
    return a * b


CALL = {"type": "function", "function": {"name": "multiply", "arguments": {"a": 17, "b": 6}}}


def repaired_in(folder: Path, name: str, **settings: Any) -> Path:
    """The folder of a tokenizer that had a template that TRL knows by its text, until it was repaired in memory."""
    original = (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")
    made = tokenizer(original)
    assert "TF202" in preflight(made, fix=True, **settings).repaired
    made.save_pretrained(folder)
    return folder


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("qwen3", id="Qwen3 as TRL ships it"),
        pytest.param("glm4moe", id="GLM-4.5 as TRL ships it"),
    ],
)
def repaired(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repaired_in(tmp_path_factory.mktemp("repaired"), request.param, mark=True)


def test_an_original_of_trl_that_is_repaired_and_marked_teaches_just_what_the_model_writes(repaired: Path) -> None:
    made = trainer(repaired, tiny_model.in_field, assistant_only_loss=True, max_steps=1)
    assert made.chat_template is None  # it isn't trained with a text of TRL's in its place
    assert REASONING in labels(made) and ANSWER in labels(made)
    assert QUESTION not in labels(made) and "user" not in labels(made)
    made.train()


def test_trl_can_mask_no_original_of_its_that_is_repaired_without_markers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="patching is not supported for this template"):
        trainer(repaired_in(tmp_path, "qwen3"), tiny_model.in_field, assistant_only_loss=True)


def test_trl_reads_the_answers_and_calls_of_a_model_with_a_repaired_original(repaired: Path) -> None:
    from transformers import AutoTokenizer
    from trl.chat_template_utils import parse_response

    made = AutoTokenizer.from_pretrained(repaired)
    asked = {"role": "user", "content": QUESTION}
    for turn in ({"content": ANSWER}, {"content": "", "tool_calls": [CALL]}):
        turn |= {"role": "assistant", "reasoning_content": REASONING}
        prompt = made.apply_chat_template([asked], tools=[multiply], tokenize=False, add_generation_prompt=True)
        whole = made.apply_chat_template([asked, turn], tools=[multiply], tokenize=False)
        assert whole.startswith(prompt)
        before, ids = (made.encode(text, add_special_tokens=False) for text in (prompt, whole[len(prompt) :]))
        told = parse_response(made, ids, prefix=before, tools=[multiply])
        assert {name: value.strip() if isinstance(value, str) else value for name, value in told.items()} == turn


def test_grpo_calls_tools_with_a_repaired_original(repaired: Path) -> None:
    from datasets import Dataset
    from transformers import AutoTokenizer

    made = AutoTokenizer.from_pretrained(repaired)
    grpo = trl.GRPOTrainer(
        model=tiny_model.model(made),
        reward_funcs=lambda completions, **_: [float(len(each)) for each in completions],
        args=trl.GRPOConfig(
            output_dir=str(repaired / "out"),
            max_steps=1,
            per_device_train_batch_size=2,
            num_generations=2,
            max_completion_length=4,
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            bf16=False,
        ),
        train_dataset=Dataset.from_list([{"prompt": [{"role": "user", "content": QUESTION}]}] * 2),
        processing_class=made,
        tools=[multiply],
    )
    assert grpo.chat_template is None
    grpo.train()
