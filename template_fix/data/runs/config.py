"""What a trainer's own file says of a run: its model, template, data and masking. Axolotl's YAML, and TRL's.

Only what decides on the text is read. A key that may do so and isn't known here is named, and so is a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from template_fix.data.batches import DataError
from template_fix.data.sources import Source
from template_fix.text.display import cut, one_line

_LARGEST, _MOST_ALIASES = 256 << 10, 100
# Parts of the names of keys that may change the rendered text.
_TELLING = re.compile(r"template|data_?set|token|message|field|role|mask|train_on|think|reason|prompt|column|loss")
# Keys that are called so and have no say in what is printed.
_ELSEWHERE = re.compile(r"eval|test|val_|prepar|_proc|hub|_lr|router|moe|pack|save|length|max_|batch|stream|shuffle")


class ConfigError(DataError):
    """A trainer's file that can't be read; the message is one line."""


class RunData(NamedTuple):
    """A data set of a run: its rows, their columns, and the template that is theirs alone, or None."""

    source: Source
    columns: Mapping[str, str]
    template: str | None = None


@dataclass(frozen=True)
class RunConfig:
    """A run as its file tells of it.

    ``template`` replaces the model's own: a text, or the path of a file or of another model. ``trained`` says what of
    a row is trained on, ``markers`` that generation markers decide it; ``flags`` are variables that the template gets.
    ``unread`` are the keys that aren't understood, each with why.
    """

    file: str
    trainer: str
    model: str
    revision: str | None = None
    template: str | None = None
    data: tuple[RunData, ...] = ()
    trained: str = ""
    markers: bool = False
    flags: tuple[tuple[str, object], ...] = ()
    unread: tuple[str, ...] = ()


def read_config(file: str) -> RunConfig:
    """Return what a trainer's YAML says of its run. Raises ConfigError."""
    values = _values(file)
    if "base_model" in values:
        return _Axolotl(file, values).read()
    if "model_name_or_path" in values and not {"stage", "finetuning_type", "template"} & values.keys():
        return _Trl(file, values).read()
    whose = "of LLaMA-Factory, which has templates of its own" if "model_name_or_path" in values else "neither's"
    raise ConfigError(
        f"{file}: Axolotl's files name base_model, and TRL's model_name_or_path with dataset_name; this one is {whose}"
    )


def _values(file: str) -> dict[str, object]:
    import yaml

    try:
        with open(file, "rb") as opened:
            raw = opened.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            raise ConfigError(f"{file}: has more than {_LARGEST >> 10} kB, which no trainer's file has")
        text = raw.decode("utf-8-sig")
        # What an alias stands for isn't copied, but a merge copies: so many are no one's.
        if sum(isinstance(each, yaml.AliasEvent) for each in yaml.parse(text, yaml.SafeLoader)) > _MOST_ALIASES:
            raise ConfigError(f"{file}: has more than {_MOST_ALIASES} aliases, which no trainer's file has")
        values = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"{file}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise ConfigError(f"{file}: is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or one_line(str(error))
        raise ConfigError(f"{file}{where}: is no YAML: {problem}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{file}: a trainer's file has keys with values")
    return {str(key): value for key, value in values.items()}


class _Reader:
    """Takes keys out of a trainer's values, and notes those that aren't understood."""

    def __init__(self, file: str, values: dict[str, object]) -> None:
        self.file, self.values, self.taken = file, values, set[str]()
        self.unread: list[str] = []

    def take(self, key: str, values: Mapping[str, object] | None = None) -> object:
        self.taken.add(key)
        return (self.values if values is None else values).get(key)

    def text(self, key: str, values: Mapping[str, object] | None = None) -> str | None:
        """Return the text of a key, None where it has none; note one that has something else."""
        value = self.take(key, values)
        if value is None or isinstance(value, str):
            return value or None
        self.note(key, "is no text")
        return None

    def note(self, key: str, why: str = "") -> None:
        self.unread.append(f"{cut(key, 100)} {why}".rstrip())

    def name_rest(self, values: Mapping[str, object], taken: set[str], prefix: str = "") -> None:
        """Note the keys that may have a say in the text and weren't taken."""
        for key, value in values.items():
            if key not in taken and value not in (None, "", False, [], {}) and self.tells(key, prefix):
                self.note(f"{prefix}{key}")

    def tells(self, key: str, prefix: str) -> bool:
        return bool(prefix or _TELLING.search(key)) and not _ELSEWHERE.search(key)

    def flags(self) -> tuple[tuple[str, object], ...]:
        given = self.take("chat_template_kwargs")
        return tuple((str(key), value) for key, value in given.items()) if isinstance(given, dict) else ()

    def sets(self, key: str) -> Iterator[tuple[str, dict[str, object]]]:
        """Yield the data sets in the list of a key, each with what it is called."""
        listed = self.take(key)
        for number, each in enumerate(listed if isinstance(listed, list) else []):
            if isinstance(each, dict):
                yield f"{key}[{number}].", {str(name): value for name, value in each.items()}
            else:
                self.note(f"{key}[{number}]", "is no data set with keys")

    def source(self, prefix: str, values: Mapping[str, object], subset: str | None, split: str | None) -> Source | None:
        """Return the rows of a data set: of its files, where it names some, or by its path."""
        path, files = values.get("path"), values.get("data_files")
        named = [files] if isinstance(files, str) else files if isinstance(files, list) else []
        names = [str(each) for each in named]
        if names and isinstance(path, str) and Path(path).is_dir():
            names = [str(Path(path) / each) for each in names]
        elif not names and isinstance(path, str):
            names = [path]
        if not names:
            self.note(f"{prefix}path", "names no data")
            return None
        return Source(tuple(names), split or "train", subset)


# The keys of a data set that are read, and behind them those that decide on no text.
_AXOLOTL_DATA = {
    *("path", "name", "split", "type", "data_files", "field_messages", "field_tools", "roles", "roles_to_train"),
    *("message_property_mappings", "message_field_role", "message_field_content", "chat_template"),
    *("chat_template_jinja", "train_on_eos", "shards", "shards_idx", "preprocess_shards", "ds_type"),
    *("trust_remote_code", "revision"),
}
_AXOLOTL_ROLES = {"user": ["human", "user"], "assistant": ["gpt", "assistant"], "system": ["system"], "tool": ["tool"]}


class _Axolotl(_Reader):
    """https://docs.axolotl.ai/docs/config-reference.html"""

    def read(self) -> RunConfig:
        model = self.text("tokenizer_config") or self.text("base_model") or ""
        self.taken.update(("base_model", "tokenizer_config"))
        revision = self.text("revision_of_model")
        template = self._template(self.values, "")
        data = tuple(each for prefix, values in self.sets("datasets") if (each := self._data(prefix, values)))
        everything = self.take("train_on_inputs") is True
        trained = (
            "all of each row (train_on_inputs)" if everything else "the turns of its roles_to_train, by Axolotl's mask"
        )
        flags = self.flags()
        self.taken.update(("type_of_model", "tokenizer_type", "tokenizer_use_fast", "special_tokens", "tokens"))
        self.taken.update(("eot_tokens", "train_on_eot", "train_on_eos", "roles_to_train", "added_tokens_overrides"))
        for key in ("tokens", "added_tokens_overrides", "special_tokens"):
            if self.values.get(key):
                self.note(key, "changes the tokens: what is found of tokens is found without it")
        self.name_rest(self.values, self.taken)
        return RunConfig(
            self.file, "Axolotl", model, revision, template, data, trained, False, flags, tuple(self.unread)
        )

    def _template(self, values: Mapping[str, object], prefix: str) -> str | None:
        """Return the template that replaces the model's own, None where none does."""
        chosen, own = self.text("chat_template", values), self.text("chat_template_jinja", values)
        if chosen == "jinja" or (own and not chosen):
            return own
        if chosen and not chosen.startswith("tokenizer_default"):
            self.note(
                f"{prefix}chat_template: {cut(chosen, 60)}",
                "is a template of Axolotl's own, which isn't here: the model's is looked at in its place",
            )
        return None

    def _data(self, prefix: str, values: dict[str, Any]) -> RunData | None:
        kind = values.get("type")
        if kind != "chat_template":
            what = cut(str(kind), 60) if isinstance(kind, str) else "its own prompts"
            self.note(f"{prefix}type", f"is {what}: its rows are put together by Axolotl, without a chat template")
            return None
        source = self.source(prefix, values, values.get("name"), values.get("split"))
        fields = {"messages": values.get("field_messages"), "tools": values.get("field_tools")}
        columns = {what: name for what, name in fields.items() if isinstance(name, str)}
        mapped = values.get("message_property_mappings") or {
            "role": values.get("message_field_role") or "role",
            "content": values.get("message_field_content") or "content",
        }
        if mapped not in ({"role": "role", "content": "content"}, {"role": "from", "content": "value"}):
            self.note(f"{prefix}message_property_mappings", "names keys of messages that aren't read here")
        roles = values.get("roles")
        if isinstance(roles, dict) and any(
            not set(given).issubset([*_AXOLOTL_ROLES.get(role, ()), role])
            for role, given in roles.items()
            if isinstance(given, list)
        ):
            self.note(f"{prefix}roles", "names roles that aren't read here")
        self.name_rest(values, _AXOLOTL_DATA, prefix)
        template = self._template(values, prefix)
        if source is None:
            return None
        return RunData(replace(source, columns=tuple(columns.values())), columns, template)


class _Trl(_Reader):
    """https://huggingface.co/docs/trl/clis, with the fields of SFTConfig and ScriptArguments"""

    def read(self) -> RunConfig:
        model, revision = self.text("model_name_or_path") or "", self.text("model_revision")
        template = self.text("chat_template_path")
        data = [each for prefix, values in self.sets("datasets") if (each := self._data(prefix, values))]
        name = self.text("dataset_name")
        subset, split = self.text("dataset_config"), self.text("dataset_train_split")
        if name:
            data.insert(0, RunData(Source((name,), split or "train", subset), {}))
        markers = self.take("assistant_only_loss") is True
        whole = self.take("completion_only_loss") is False
        trained = "all of each row, of rows with prompt and completion the completion alone"
        if markers:
            trained = "what generation markers enclose (assistant_only_loss)"
        elif whole:
            trained = "all of each row (completion_only_loss: false)"
        flags = self.flags()
        self.taken.update(("eos_token", "pad_token", "dataset_text_field", "loss_type", "trust_remote_code"))
        if self.values.get("eos_token"):
            self.note("eos_token", "changes what ends a turn: what is found of tokens is found without it")
        self.name_rest(self.values, self.taken)
        return RunConfig(
            self.file, "TRL", model, revision, template, tuple(data), trained, markers, flags, tuple(self.unread)
        )

    def _data(self, prefix: str, values: dict[str, Any]) -> RunData | None:
        source = self.source(prefix, values, values.get("name"), values.get("split"))
        self.name_rest(values, {"path", "name", "split", "data_files", "columns", "fraction"}, prefix)
        return RunData(source, {}) if source else None
