from __future__ import annotations

import pickle
import sys
import time
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from template_fix.checkpoint.json_file import CheckpointError
from template_fix.conversations.builtin import ConversationError
from template_fix.data.batches import DataError
from template_fix.disk.journal import WriteError
from template_fix.hub.errors import Absent, HubError, Moved, NoRevision, Offline, Unreachable
from template_fix.jinja.renderer import RenderError
from template_fix.options import UnknownCodeError
from template_fix.share.plan import PushError
from template_fix.text.display import UserError, cut, ends_of, make_presentable, make_visible, one_line, scrub

TOLD = [CheckpointError, HubError, Absent, Moved, NoRevision, Offline, Unreachable, PushError, WriteError, DataError]
TOLD += [ConversationError, RenderError, UnknownCodeError]
HF = "hf_ABCDEFGHIJKLMNOPQRSTUVWXYZ01234567"
CONTROLS = [chr(code) for code in (*range(32), *range(127, 160), 0x202E, 0x2028, 0x2029, 0xFEFF, 0xD800, 0xE0001)]

anything = st.text(st.one_of(st.characters(), st.sampled_from(CONTROLS), st.sampled_from("…hf_: @/Bearer")))
patiently = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(
    "text, shown",
    [
        pytest.param("a\nb\tc\r", "a\\nb\\tc\\r", id="line ends are spelled out"),
        pytest.param("\x1b[31m", "\\x1b[31m", id="terminal sequences can't act"),
        pytest.param("a\u202eb\ufeff", "a\\u202eb\\ufeff", id="what hides or turns text around is spelled out"),
        pytest.param("\ud800", "\\ud800", id="half a surrogate pair is spelled out"),
        pytest.param("<｜end▁of▁sentence｜> é 日 😀", "<｜end▁of▁sentence｜> é 日 😀", id="other scripts stay"),
    ],
)
def test_visible(text, shown):
    assert make_visible(text) == shown


@pytest.mark.parametrize(
    "text, shown",
    [
        pytest.param(f"no access with {HF}!", "no access with ***!", id="a token of the Hub"),
        pytest.param("hf_oauth_eyJhbG.ciOi-Jub_25l: no", "***: no", id="a token of a login"),
        pytest.param("Bearer abc.def-1", "Bearer ***", id="what a bearer shows"),
        pytest.param("{'authorization': 'bEARER abc'}", "{'authorization': 'bEARER ***'}", id="a header in a mapping"),
        pytest.param("Authorization: Basic dTpw, x", "Authorization: Basic ***, x", id="a name and a password"),
        pytest.param("X-Api-Key: abc", "X-Api-Key: ***", id="a key of an interface"),
        pytest.param("https://me:pass@host/a@b", "https://***@host/a@b", id="a user with a password"),
        pytest.param("git+ssh://tok@host and @you", "git+ssh://***@host and @you", id="a user without one"),
        pytest.param("https://host/a/@user?x=me@b", "https://host/a/@user?x=me@b", id="an address without a user"),
        pytest.param("hf_model of hf_xet", "hf_model of hf_xet", id="names that begin like tokens but are shorter"),
    ],
)
def test_secrets_are_scrubbed(text, shown):
    assert scrub(text) == shown
    assert scrub(shown) == shown


@pytest.mark.parametrize("variable", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
@pytest.mark.parametrize("text", ["{}", "x{}y", "hf.co/?t={}&u=1", "no {}: refused"])
def test_the_token_in_use_is_scrubbed_whatever_it_looks_like(monkeypatch, variable, text):
    monkeypatch.setenv(variable, "my-secret token/1ü")
    for spelled in ("my-secret token/1ü", "my-secret%20token%2F1%C3%BC", "my-secret+token%2f1%c3%bc"):
        assert scrub(text.format(spelled)) == text.format("***")


def test_the_token_that_was_logged_in_with_is_scrubbed(monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert scrub("saved-long-ago") == "saved-long-ago"
    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(get_token=lambda: "saved-long-ago"))
    assert scrub("with saved-long-ago") == "with ***"


def test_a_token_that_is_an_ordinary_word_hides_no_words(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "e")
    assert scrub("here") == "here"


@given(text=anything, longest=st.integers(10, 60))
def test_a_line_is_short_enough_and_is_left_as_it_is(text, longest):
    shown = one_line(text, longest)
    assert len(shown) <= longest
    assert one_line(shown, longest) == shown
    assert make_visible(shown) == shown == scrub(shown)


@given(text=anything)
def test_what_is_presentable_stays_so(text):
    assert make_presentable(make_presentable(text)) == make_presentable(text) == make_visible(make_presentable(text))


@patiently
@given(
    before=st.integers(0, 400),
    secret=st.sampled_from([HF, "Bearer abcdefghijklm", "https://user:abcdefghijklm@host", "my secret-token-123"]),
    after=st.integers(0, 400),
    longest=st.integers(10, 300),
)
def test_a_cut_leaves_no_part_of_a_secret(monkeypatch, before, secret, after, longest):
    monkeypatch.setenv("HF_TOKEN", "my secret-token-123")
    shown = one_line("." * before + " " + secret + " " + "," * after, longest)
    assert not any(part in shown for part in ("ABC", "34567", "abc", "klm", "user", "my s", "-123"))


@given(
    text=st.text("ab \n", max_size=20).map(lambda text: text * 700),
    at=st.integers(0, 14_000),
    secret=st.sampled_from([HF, f"bearer {'x' * 5000} "]),
    longest=st.integers(10, 300),
)
def test_the_ends_of_a_text_are_cut_like_all_of_it(text, at, secret, longest):
    text = text[:at] + secret + text[at:]
    assert cut(ends_of(text, longest), longest) == cut(text, longest)
    assert len(ends_of(text, longest)) < 9000


@pytest.mark.parametrize("size", [10**3, 10**5, 10**7])
@pytest.mark.parametrize("unit", ["x", "é", "\n", "\x1b", "hf_", "://", "bearer ", "authorization:", "日\u0301"])
def test_the_length_of_a_text_costs_nothing(unit, size):
    text = unit * (size // len(unit))
    started = time.process_time()
    assert len(one_line(text)) <= 1000
    assert time.process_time() - started < 0.5


def test_both_ends_of_a_long_path_stay():
    path = "/home/me/" + "deep/" * 500 + "model/tokenizer.json"
    said = str(WriteError(f"{path}: is write-protected; nothing was changed"))
    assert said.startswith("/home/me/deep/")
    assert said.endswith("model/tokenizer.json: is write-protected; nothing was changed")
    assert " … " in said


def test_a_cut_keeps_what_is_short():
    assert cut("a" * 10, 10) == "a" * 10
    assert cut("a" * 20 + "b" * 20, 15) == "aaaaaaaa … bbbb"


@pytest.mark.parametrize("kind", TOLD)
def test_what_users_are_told_is_one_line_however_it_is_raised(kind):
    error = kind(f"a\n\x1b[2J{HF}" + "é" * 10**6)
    assert isinstance(error, UserError)
    assert str(error).startswith("a \\x1b[2J***")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (kind, str(error))
