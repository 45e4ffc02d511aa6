from __future__ import annotations

import pytest

import template_fix
from template_fix.cli.demo import model_files
from template_fix.hub.page import parse_page


@pytest.mark.parametrize(
    "address, expected",
    [
        ("https://huggingface.co/org/model", ("org/model", None)),
        ("http://huggingface.co/org/model/", ("org/model", None)),
        ("https://www.huggingface.co/org/model?library=transformers#usage", ("org/model", None)),
        ("huggingface.co/org/model", ("org/model", None)),
        ("hf.co/org/model/tree/main", ("org/model", "main")),
        ("https://huggingface.co/org/model/blob/v1.5/chat_template.jinja", ("org/model", "v1.5")),
        ("https://huggingface.co/org/model/tree/refs%2Fpr%2F3", ("org/model", "refs/pr/3")),
        ("https://huggingface.co/org/model/discussions/7", ("org/model", None)),
        ("https://hub.example:8443/org/model/tree/main", ("org/model", "main")),
    ],
)
def test_the_address_of_a_model_s_page_names_its_repository(address, expected, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example:8443")
    assert parse_page(address) == expected


@pytest.mark.parametrize(
    "name",
    [
        "org/model",
        "directory",
        "",
        "://org/model",
        "https://huggingface.co/org",
        "https://huggingface.co/datasets/org/rows",
        "https://example.com/org/model",
        "http://[broken/org/model",
        r"C:\models\org\model",
    ],
)
def test_any_other_name_stays_as_it_is(name, monkeypatch):
    monkeypatch.delenv("HF_ENDPOINT")
    assert parse_page(name) == (name, None)


def test_a_model_is_checked_by_the_address_of_its_page(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    repo = hub.add("org/model", {name: text.encode() for name, text in model_files().items()})
    first = repo.refs["main"]
    repo.commit({"chat_template.jinja": b"{{ 1 }}"}, "main")
    page = f"{hub.endpoint}/org/model"
    now, then = template_fix.check(page), template_fix.check(f"{page}/tree/{first}")
    assert (now.model, now.revision, then.revision) == ("org/model", repo.refs["main"], first)
    assert template_fix.check(f"{page}/tree/main", revision=first).revision == first
    with pytest.raises(template_fix.CheckpointError, match="isn't patched in place"):
        template_fix.patch(page)
