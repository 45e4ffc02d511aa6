"""A callback for trainers of transformers and TRL: checks the labels, and whether the model still uses its tags."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from template_fix.training.answer_parsing import Tokenizer

try:
    from transformers import TrainerCallback
except ModuleNotFoundError as error:
    raise ImportError("PreflightCallback needs transformers: pip install 'template-fix[train]'") from error

from template_fix.conversations.rows import BrokenRow, Row, row_of
from template_fix.data.row_check import plain
from template_fix.data.texts import Pairs
from template_fix.training.answers import Answer, answer_shares
from template_fix.training.in_memory import PreflightError, first_message
from template_fix.training.labels import Labels, Trained, compare_labels, label_lines
from template_fix.training.preflight import Mode, PreflightWarning, plain_text, raise_or_warn, tags_of

_log = logging.getLogger(__name__)


class PreflightCallback(TrainerCallback):
    """Checks the collated batches before the first step, and the model's answers during training.

    ``dataset`` are the raw rows, as conversations; without them only the labels themselves are checked. The first
    ``rows`` rows of the training data are checked. If their labels lack the raw rows' reasoning or all ends of turns,
    or if a row has no labels, ``mode="raise"`` raises PreflightError and ``mode="warn"`` warns.

    ``prompts`` are conversations for the model to answer; keep them out of the training data. At each evaluation, and
    every ``every`` steps, the model continues each of them greedily by at most ``max_new_tokens`` tokens. The shares of
    answers whose reasoning is opened, closed and not empty, from 0 to 1, are logged as ``reasoning_opened``,
    ``reasoning_closed`` and ``reasoning_nonempty``: by ``log``, such as ``trainer.log``, else into the log history.
    They are also added to the metrics of an evaluation.

    ``columns`` is as in `api.row_check`; ``tokenizer`` is needed if the trainer has none.
    """

    def __init__(
        self,
        dataset: Any = None,
        *,
        mode: Mode = "raise",
        rows: int = 64,
        prompts: Sequence[object] = (),
        every: int | None = None,
        max_new_tokens: int = 512,
        log: Callable[[dict[str, float]], None] | None = None,
        tokenizer: Tokenizer = None,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        self.dataset, self.mode, self.rows, self.columns = dataset, mode, rows, dict(columns or {})
        self.prompts, self.every, self.max_new_tokens = prompts, every, max_new_tokens
        self.log, self.tokenizer = log, tokenizer
        self.labels: Labels | None = None
        self._tags: Pairs | None = None

    def on_train_begin(self, args: object, state: object, control: object, **given: object) -> None:
        """Check the batches, if the trainer has made its data loader already."""
        self.labels = None
        self._look(state, **given)

    def on_step_begin(self, args: object, state: object, control: object, **given: object) -> None:
        """Check the batches, if that wasn't possible earlier."""
        self._look(state, **given)

    def on_step_end(self, args: object, state: Any, control: object, **given: object) -> None:
        """Let the model answer every ``every`` steps."""
        if self.every and state.global_step % self.every == 0:
            self._watch(state, "", **given)

    def on_evaluate(self, args: object, state: object, control: object, metrics: Any = None, **given: object) -> None:
        """Let the model answer at each evaluation."""
        measured = self._watch(state, "eval_", **given)
        if metrics is not None:
            metrics.update(measured)

    def _look(self, state: Any, train_dataloader: object = None, **given: object) -> None:
        if self.labels is not None or train_dataloader is None:
            return
        tokenizer = self._tokenizer(given)
        trained = list(islice(_collated_rows(train_dataloader, self.rows), self.rows))
        raw = self._raw()
        self.labels = compare_labels(
            trained,
            raw,
            self._tags_of(given),
            _end_ids(tokenizer, given.get("model")),
            tokenizer.decode,
            lambda text: str(tokenizer.decode(tokenizer.encode(text, add_special_tokens=False))),
        )
        message = plain_text(label_lines(self.labels))
        if wrong := first_message(f"{message}\n{_NEXT}" if trained and self.labels.wrong else ""):
            raise_or_warn(wrong, self.mode)
        elif not trained and state.is_world_process_zero:
            warnings.warn("the batches have no labels, so they could not be checked", PreflightWarning, stacklevel=2)
        elif state.is_world_process_zero:
            _log.info(message)

    def _raw(self) -> Iterator[Row]:
        """Yield the first raw rows; those that hold no conversation are skipped."""
        for value in islice(iter(self.dataset if self.dataset is not None else ()), self.rows):
            try:
                yield row_of(value, self.columns)
            except BrokenRow:
                continue

    def _watch(self, state: Any, prefix: str, **given: object) -> dict[str, float]:
        if not self.prompts:
            return {}
        tokenizer, tags = self._tokenizer(given), self._tags_of(given)
        said = [self._answer(given["model"], tokenizer, each) for each in self.prompts]
        measured = {f"{prefix}{name}": share for name, share in answer_shares(said, tags).items()}
        if self.log is not None:
            self.log(dict(measured))
        else:
            state.log_history.append({**measured, "epoch": state.epoch, "step": state.global_step})
        return measured

    def _answer(self, model: Any, tokenizer: Tokenizer, prompt: Any) -> Answer:
        """Return a model's answer to a prompt, generated greedily and decoded without special tokens."""
        import torch

        row = row_of(prompt if isinstance(prompt, Mapping) else {"messages": prompt}, self.columns)
        asked = row.messages[: row.prompt] if row.prompt else row.messages
        text = tokenizer.apply_chat_template(
            asked, tools=row.tools, add_generation_prompt=True, tokenize=False, **row.flags
        )
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids.to(model.device)
        training = model.training
        model.eval()
        try:
            with torch.no_grad():
                generated = model.generate(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    max_new_tokens=self.max_new_tokens,
                    do_sample=False,
                    pad_token_id=tokenizer.pad_token_id,
                )
        finally:
            model.train(training)
        return Answer(text, tokenizer.decode(generated[0, ids.shape[1] :], skip_special_tokens=True))

    def _tokenizer(self, given: Mapping[str, object]) -> Tokenizer:
        found = self.tokenizer or given.get("processing_class") or given.get("tokenizer")
        if found is None:
            raise PreflightError("the trainer has no tokenizer; give the callback one: PreflightCallback(tokenizer=…)")
        return getattr(found, "tokenizer", found)

    def _tags_of(self, given: Mapping[str, object]) -> Pairs:
        if self._tags is None:
            self._tags = tags_of(self._tokenizer(given))
        return self._tags


_NEXT = "Next: preflight(tokenizer, fix=True) in the script repairs the tokenizer; template-fix check MODEL says more."


def _collated_rows(dataloader: Any, rows: int) -> Iterator[Trained]:
    """Yield the first rows as the trainer collates them. Its loader isn't started, so no random state changes."""
    taken = _first_rows(dataloader.dataset, rows)
    size = dataloader.batch_size or 1
    while examples := list(islice(taken, size)):
        batch = dataloader.collate_fn(examples)
        if "labels" not in batch:
            return
        for ids, labels in zip(plain(batch["input_ids"]), plain(batch["labels"]), strict=True):
            yield Trained(ids, labels)


def _first_rows(dataset: Any, rows: int) -> Iterator[Any]:
    """Return the first rows of a data set, with or without a length."""
    if hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__"):
        return (dataset[at] for at in range(min(rows, len(dataset))))
    return islice(iter(dataset), rows)


def _end_ids(tokenizer: Tokenizer, model: object) -> set[int]:
    """Return the ids of the tokens that end a turn: those at which generation stops."""
    config = getattr(model, "generation_config", None)
    stops = getattr(config, "eos_token_id", None)
    found: Iterable[object] = stops if isinstance(stops, (list, tuple)) else [stops]
    return {each for each in (*found, tokenizer.eos_token_id) if each is not None}
