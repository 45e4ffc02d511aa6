"""The page that `--html` leaves: complete, harmless, and fit for browsers, keyboards and screen readers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from samples import FOUND, PATCHED, UNTRIED

from template_fix.cli.demo import model_files
from template_fix.cli.main import main
from template_fix.disk.page_file import MARK
from template_fix.report.html.render import render_outcomes
from template_fix.results import Evidence, Failed, Finding, Level, Patched, Place, Report, TemplateSummary

VOID = {"meta", "link", "br", "rect"}
HOSTILE = '</pre></script><script>alert(1)</script><img src=x onerror="alert(2)">\u202egnp.\x1b[31m{{ 7 * 7 }}'


class Tree(HTMLParser):
    """Reads a page, and notes its elements with their attributes, its text, and whether all is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} is closed out of order"

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text.append((self.open[-1], data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for each, attributes in self.elements if each == tag]

    def inside(self, tag: str) -> list[str]:
        return [data for each, data in self.text if each == tag]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name, text in model_files().items():
        folder.joinpath(name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    turn = {"role": "assistant", "content": f"<think>\n{HOSTILE}\n</think>\n\nYes."}
    path.write_text(json.dumps({"messages": [{"role": "user", "content": "One?"}, turn]}) + "\n")
    return path


Made = Callable[..., Tree]


@pytest.fixture
def made(tmp_path: Path, model: Path, capfd: pytest.CaptureFixture[str]) -> Made:
    def made(command: str, *options: object) -> Tree:
        page = tmp_path / "page.html"
        assert main([command, str(model), *map(str, options), "--html", str(page)]) in (0, 1)
        return Tree(page.read_text(encoding="utf-8"))

    return made


def test_a_check_shows_each_finding_with_what_was_dropped_and_the_line_at_fault(made: Made) -> None:
    page = made("check")
    assert len([each for each in page.all("article") if "finding" in (each["class"] or "")]) == 6
    assert "Weighing idea 1.\nSettling on idea 1." in page.inside("del")
    assert "content.split('</think>')[-1]" in page.inside("mark")
    assert any("What TF201 means" in each for each in page.inside("summary"))


def test_a_patch_shows_the_diff_the_proof_and_what_is_gone(made: Made) -> None:
    page = made("patch")
    assert {"Repairs", "Proof", "What changes", "Findings"} <= set(page.inside("h3"))
    assert any(each.startswith("-") and "content.split" in each for each in page.inside("del"))
    assert any(each.startswith("+") and "preserve_thinking" in each for each in page.inside("ins"))
    assert "gone" in page.inside("span")


def test_a_comparison_shows_what_was_inherited(made: Made, model: Path) -> None:
    page = made("compare", model)
    assert "inherited" in page.inside("span")
    assert "The two models" in page.inside("h2")


def test_data_are_shown_in_bars_with_the_rows_that_lose_most(made: Made, rows: Path) -> None:
    page = made("check", "--data", rows)
    assert any("reasoning lost" in each for each in page.inside("th"))
    bars = [each for each in page.all("rect") if each["class"] == "error"]
    assert bars
    assert all(re.fullmatch(r"\d+(\.\d)?%", each["width"] or "") for each in bars)
    assert any("alert(2)" in each for each in page.inside("del"))


def test_a_training_run_is_shown_with_what_is_not_understood(tmp_path: Path, model: Path, rows: Path) -> None:
    config, page = tmp_path / "run.yaml", tmp_path / "page.html"
    config.write_text(f"model_name_or_path: {model}\ndataset_name: {rows}\nmessage_magic: 1\n")
    assert main(["check", "--config", str(config), "--html", str(page)]) == 1
    tree = Tree(page.read_text(encoding="utf-8"))
    assert "Not understood: message_magic." in tree.inside("p")
    assert "A run of TRL" in tree.inside("h2")
    assert any("reasoning lost" in each for each in tree.inside("th"))


def evil() -> Report:
    evidence = Evidence(HOSTILE, HOSTILE, f"a {HOSTILE}", (HOSTILE,), (HOSTILE,), (HOSTILE, HOSTILE))
    place = Place(HOSTILE, 1, 1, HOSTILE, 1, 1, HOSTILE, 5)
    finding = Finding("TF201", Level.ERROR, HOSTILE, place, (evidence,), HOSTILE)
    return Report(HOSTILE, (finding,), (TemplateSummary(HOSTILE, HOSTILE, source=HOSTILE),))


@pytest.mark.parametrize("outcome", [evil(), Failed(HOSTILE, HOSTILE)], ids=["report", "failure"])
def test_nothing_of_a_stranger_is_markup_or_runs_or_hides(outcome: Report | Failed) -> None:
    text = render_outcomes([outcome, FOUND])
    page = Tree(text)
    assert not page.all("script") + page.all("img") + page.all("link") + page.all("iframe")
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")} | (names & {"style", "src"})
    assert all((each["href"] or "").startswith("#") for each in page.all("a"))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]", text)
    assert "{{ 7 * 7 }}" in text
    assert "49" not in "".join(page.inside("h2"))


def test_a_secret_is_not_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "hf_" + "a1B2" * 8
    finding = Finding("TF201", Level.ERROR, f"it says {secret}", evidence=(Evidence("x", f"a {secret} b", secret),))
    assert secret not in render_outcomes([Report(secret, (finding,), ())])


def test_it_loads_nothing_and_its_style_is_the_one_that_it_allows() -> None:
    from base64 import b64encode
    from hashlib import sha256

    text = render_outcomes([FOUND])
    [policy] = [each["content"] or "" for each in Tree(text).all("meta") if "http-equiv" in each]
    style = text.split("<style>")[1].split("</style>")[0]
    assert f"style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert not re.findall(r"url\(|@import|https?://", text)


def test_it_has_what_keyboards_and_screen_readers_go_by() -> None:
    page = Tree(render_outcomes([FOUND, UNTRIED, Patched(PATCHED, None)]))
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("main")) == len(page.all("h1")) == len(page.all("nav")) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [each["id"] for _, each in page.elements if "id" in each]
    assert len(ids) == len(set(ids))
    named = [each["aria-labelledby"] for each in page.all("section")]
    assert set(named) <= set(ids)
    assert {(each["href"] or "#")[1:] for each in page.all("a")} <= set(ids)
    scrolled = [each for each in page.all("div") if each.get("class") == "listing"]
    assert all(each.get("tabindex") == "0" and each.get("aria-label") for each in scrolled)


def luminance(colour: str) -> float:
    full = colour if len(colour) == 6 else "".join(2 * each for each in colour)
    parts = [int(full[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrasts() -> Iterator[tuple[str, float]]:
    css = Path(__file__).parents[2].joinpath("template_fix/report/html/page.css").read_text()
    for scheme, block in zip(("light", "dark"), re.findall(r":root \{(.*?)\}", css, re.DOTALL), strict=True):
        colours = dict(re.findall(r"--(\w+): #(\w+)", block))
        for ink, backs in {"ink": ("back", "soft", "lost", "add", "mark"), "dim": ("back", "soft")}.items():
            yield from ((f"{scheme}: {ink} on {back}", contrast(colours[ink], colours[back])) for back in backs)
        for ink in ("error", "warning", "note", "good"):
            yield f"{scheme}: {ink}", contrast(colours[ink], colours["back"])


def contrast(one: str, other: str) -> float:
    light, dark = sorted(map(luminance, (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("name", "ratio"), [*contrasts()])
def test_what_is_written_stands_out(name: str, ratio: float) -> None:
    assert ratio >= 4.5  # as WCAG asks of text, AA


@pytest.mark.parametrize("name", ["page.html", "nowhere/page.html"])
def test_a_name_that_a_page_cannot_have_is_refused_before_any_work(
    tmp_path: Path, model: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    path = tmp_path / name
    if path.parent.is_dir():
        path.write_text("mine")
    assert main(["check", str(model), "--html", str(path)]) == 2
    told = capfd.readouterr()
    assert (told.out, "Error: " in told.err) == ("", True)
    assert not path.parent.is_dir() or path.read_text() == "mine"


def test_a_page_is_written_over_an_older_one_and_through_no_link(made: Made, tmp_path: Path, model: Path) -> None:
    made("check")
    made("check")
    assert MARK in (tmp_path / "page.html").read_text()[:400]
    (tmp_path / "page.html").rename(tmp_path / "other.html")
    (tmp_path / "page.html").symlink_to(tmp_path / "other.html")
    assert main(["check", str(model), "--html", str(tmp_path / "page.html")]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("command", ["check", "patch", "data"])
def test_a_browser_opens_it_without_a_complaint(tmp_path: Path, model: Path, rows: Path, command: str) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is installed")
    page, picture = tmp_path / "page.html", tmp_path / "page.png"
    data = ["--data", str(rows)] if command == "data" else []
    assert main([command if not data else "check", str(model), *data, "--html", str(page)]) in (0, 1)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    flags += ["--enable-logging=stderr", "--window-size=1280,2000", f"--screenshot={picture}", page.as_uri()]
    told = subprocess.run([browser, *flags], capture_output=True, text=True, timeout=120)
    assert picture.stat().st_size > 20_000, told.stderr
    assert not re.findall(r"CONSOLE.*", told.stderr)
