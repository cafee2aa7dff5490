"""report.html in a real browser: Chromium, opened from a file, driven by Playwright, no browser downloaded.

The browser is $EVALSUITE_BROWSER, else the first of `NAMES` on PATH; without one, or without Playwright, these tests are skipped.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from evalsuite.controls import visible
from evalsuite.report import build, write_report
from evalsuite.report.explorer_tables import OUTCOMES, ExplorerData
from tests.unit.explorer_rows import HOSTILE, A, B, answer, explorer, large, mixed, sample, wrong
from tests.unit.report_findings import findings

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = os.environ.get("EVALSUITE_BROWSER") or next((path for name in NAMES if (path := shutil.which(name))), None)
SIZES = {"phone": (390, 844), "desktop": (1280, 900)}

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=f"no browser: none of {', '.join(NAMES)} is on PATH, and EVALSUITE_BROWSER is not set"),
    pytest.mark.xdist_group("browser"),
]

Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Opens a file; afterwards: nothing but files was asked for, nothing was complained about, no dialog came up."""
    contexts, seen = [], []

    def opened(path: Path, *, link: str = "", size: str = "desktop", **options: Any) -> Page:
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: None if request.url.startswith("file:") else seen.append(f"request {request.url[:80]}"))
        page.on("console", lambda message: seen.append(f"console {message.text}") if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: seen.append(f"error {error}"))
        page.on("dialog", lambda dialog: (seen.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.goto(path.as_uri() + link)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert seen == []


def report_of(data: ExplorerData | None, folder: Path) -> Path:
    write_report(build(findings(explorer=data)), folder)
    return folder / "report.html"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report whose data set and models write markup, scripts and characters that act."""
    return report_of(mixed(), tmp_path_factory.mktemp("hostile"))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report_of(large(50_000), tmp_path_factory.mktemp("large"))


def ready(page: Page) -> Page:
    sync_api.expect(page.locator("#explorer-list .row").first).to_be_visible()
    sync_api.expect(page.locator("#explorer-one h3")).to_be_visible()
    return page


def n_rows(page: Page) -> int:
    return int(page.inner_text("#explorer-count").split()[0].replace(",", ""))


def show_everything(page: Page) -> None:
    for name in ("pair", "task", "strategy", "perturbation"):
        page.locator(f"#explorer-{name}").evaluate("box => { box.value = ''; box.dispatchEvent(new Event('change')); }")
    for button in page.locator("#explorer-outcomes button").all():
        if button.get_attribute("aria-pressed") == "false":
            button.click()


def searched(page: Page, words: str) -> None:
    page.fill("#explorer-search", words)
    sync_api.expect(page.locator("#explorer-told")).to_have_text("Ids, questions, prompts and outputs were searched.")


def test_what_data_and_models_write_changes_nothing(hostile: Path, open_page: Open) -> None:
    page = ready(open_page(hostile))
    tags = "() => [...new Set([...document.querySelectorAll('*')].map((e) => e.tagName.toLowerCase()))].sort()"
    n_scripts = page.locator("script").count()
    before = page.evaluate(tags)
    show_everything(page)
    assert n_rows(page) == 240
    texts: set[str] = set()
    for _ in range(240):
        texts.update(
            page.locator("#explorer-one pre, #explorer-one .question, #explorer-one tbody th > span:first-child").all_text_contents()
        )
        page.locator("#explorer-next").evaluate("button => button.click()")
    assert page.evaluate("() => window.harmed") is None
    assert page.locator("script").count() == n_scripts
    assert set(page.evaluate(tags)) <= set(before) | {"mark", "pre"}
    assert page.locator("#explorer img, #explorer svg, #explorer iframe, #explorer a").count() == 0
    for text in HOSTILE:
        assert visible(text) in texts, text
        assert f"D. {visible(text)}" in texts, text
    assert page.title() == "Does the pocket clinical model beat the generalist it was tuned from?"


def test_no_script_but_ours_could_run_or_send(hostile: Path, browser: Browser) -> None:
    """Whatever found a way into the page would meet its policy: tried here on purpose, against a server that listens."""
    asked: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/favicon.ico":  # of the page before, whenever the browser gets to it
                asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        page = browser.new_page()
        try_everything = """async (address) => {
            const add = (tag, attributes) => document.body.append(Object.assign(document.createElement(tag), attributes));
            add("script", { textContent: "window.harmed = 1" });
            add("script", { src: address + "/script" });
            add("img", { src: address + "/image" });
            add("iframe", { src: address + "/frame" });
            add("link", { rel: "stylesheet", href: address + "/style" });
            document.body.insertAdjacentHTML("beforeend", "<img src='data:image/png;base64,AA' onerror='window.harmed = 2'>");
            return fetch(address + "/fetch", { mode: "no-cors" }).then(() => "sent", () => "refused");
        }"""
        page.goto(f"{address}/before")
        assert asked == ["/before"], "the server would have noticed"
        asked.clear()
        page.goto(hostile.as_uri())
        assert page.evaluate(try_everything, address) == "refused"
        page.wait_for_timeout(300)
        assert page.evaluate("() => window.harmed") is None
        assert asked == []
        page.context.close()
        server.shutdown()


def test_it_opens_on_the_disagreements_of_the_primary_cell(hostile: Path, open_page: Open) -> None:
    page, data = ready(open_page(hostile)), mixed()
    first = data.rows[data.rows["primary"] & (data.rows["outcome"] < 2)]
    assert n_rows(page) == len(first)
    assert page.locator("#explorer-list .row").first.get_attribute("aria-selected") == "true"
    row = data.rows.iloc[0]
    assert data.questions[row["question"]].name in page.inner_text("#explorer-one .facts")
    assert page.inner_text("#explorer-one h3") == f"Only {A if row['outcome'] == 0 else B} is right"


def test_filters_show_what_they_say(hostile: Path, open_page: Open) -> None:
    page, rows = ready(open_page(hostile)), mixed().rows
    page.select_option("#explorer-task", label="notes")
    page.select_option("#explorer-strategy", label="generate")
    own = rows[(rows["task"] == 1) & (rows["strategy"] == 1) & (rows["perturbation"] == 0)]
    assert n_rows(page) == int((own["outcome"] < 2).sum())
    for number, name in enumerate(OUTCOMES):
        button = page.locator(f"#explorer-outcomes button[data-outcome={name}]")
        if button.count():
            assert int(button.locator(".n").inner_text()) == int((own["outcome"] == number).sum()), name
    page.click("#explorer-outcomes button[data-outcome=a_better]")
    assert n_rows(page) == int((own["outcome"] == 1).sum())
    page.click("#explorer-outcomes button[data-outcome=b_better]")
    assert n_rows(page) == 0
    sync_api.expect(page.locator("#explorer-none")).to_be_visible()
    show_everything(page)
    page.select_option("#explorer-status", label="not readable")
    answers = mixed().answers
    unparsed = [any(answers["status"][row[side]] == 1 for side in "ab") for _, row in rows.iterrows()]
    assert n_rows(page) == sum(unparsed) > 0
    page.click("#explorer-reset")
    assert n_rows(page) == int((rows["primary"] & (rows["outcome"] < 2)).sum())


def test_search_finds_ids_prompts_and_outputs(hostile: Path, open_page: Open) -> None:
    page = ready(open_page(hostile))
    show_everything(page)
    searched(page, "Q00007")
    assert n_rows(page) == 6
    searched(page, "[INST] {{7*7}}")
    assert n_rows(page) == 6 * len([at for at in range(40) if (at + 1) % 6 == 5])
    assert page.locator("#explorer-one pre mark").first.inner_text().lower() == "[inst] {{7*7}}"
    searched(page, "no such words")
    assert n_rows(page) == 0
    page.press("#explorer-search", "Escape")
    sync_api.expect(page.locator("#explorer-count")).to_have_text("240 rows of 240")


def test_keys(hostile: Path, open_page: Open) -> None:
    page = ready(open_page(hostile))
    place, list_ = page.locator("#explorer-place"), page.locator("#explorer-list")
    n = n_rows(page)
    list_.scroll_into_view_if_needed()
    page.keyboard.press("j")
    sync_api.expect(place).to_have_text(f"2 of {n}")
    page.keyboard.press("k")
    page.keyboard.press("k")
    sync_api.expect(place).to_have_text(f"1 of {n}")
    list_.focus()
    for key, at in (("ArrowDown", 2), ("End", n), ("ArrowUp", n - 1), ("Home", 1)):
        page.keyboard.press(key)
        sync_api.expect(place).to_have_text(f"{at} of {n}")
        assert page.locator(f"#{list_.get_attribute('aria-activedescendant')}").get_attribute("aria-posinset") == str(at)
    page.keyboard.press("/")
    assert page.evaluate("() => document.activeElement.id") == "explorer-search"
    page.keyboard.type("j1k")
    assert page.input_value("#explorer-search") == "j1k"
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert page.evaluate("() => document.activeElement.id") == "explorer-list"
    sync_api.expect(place).to_have_text(f"1 of {n}")
    before = page.locator("#explorer-outcomes button[data-key='1']").get_attribute("aria-pressed")
    page.keyboard.press("1")
    assert page.locator("#explorer-outcomes button[data-key='1']").get_attribute("aria-pressed") != before
    page.evaluate("() => { scrollTo(0, 0); document.activeElement.blur(); }")


def test_keys_leave_the_rest_of_the_page_alone(hostile: Path, open_page: Open) -> None:
    page = ready(open_page(hostile))
    page.evaluate("() => scrollTo(0, 0)")
    page.wait_for_timeout(100)
    for key in ("j", "/", "1"):
        page.keyboard.press(key)
    assert page.inner_text("#explorer-place").startswith("1 of")
    assert page.evaluate("() => document.activeElement.id") == ""


def test_a_link_opens_its_row_whatever_the_filters_hide(hostile: Path, open_page: Open) -> None:
    page = ready(open_page(hostile))
    page.locator("#explorer-list .row").nth(3).click()
    link = page.evaluate("() => location.hash")
    facts, sentence = page.inner_text("#explorer-one .facts"), page.inner_text("#explorer-one h3")
    assert link.startswith("#explorer:")
    again = ready(open_page(hostile, link=link))
    sync_api.expect(again.locator("#explorer-one .facts")).to_have_text(facts)
    assert again.inner_text("#explorer-one h3") == sentence
    hidden = ready(open_page(hostile, link="#explorer:task=notes&strategy=generate&sample=q00009"))
    sync_api.expect(hidden.locator("#explorer-one .facts")).to_have_text(re.compile(r"^notes · generate · none · q00009"))
    unknown = ready(open_page(hostile, link="#explorer:sample=%3Cimg%20src%3Dx%3E"))
    sync_api.expect(unknown.locator("#explorer-told")).to_have_text("The row that the address names is not in this report.")


def test_restricted_rows_show_status_and_outcome_only(tmp_path: Path, open_page: Open) -> None:
    page = ready(open_page(report_of(mixed(restricted=("exam", "notes")), tmp_path)))
    show_everything(page)
    for _ in range(30):
        shown = page.inner_text("#explorer-one")
        assert "This task is restricted" in shown
        assert not re.search(r"ECG|MRI|\[INST\]|q000|case:|%", shown)
        assert page.locator("#explorer-one pre").count() == 0
        page.click("#explorer-next")


def test_probabilities_answers_and_differing_prompts_are_shown(tmp_path: Path, open_page: Open) -> None:
    of = sample(1)
    chat = "<|im_start|>user\nQuestion\nAnswer:"
    rows = [
        answer(of, A, p_choices=[0.1, 0.625, 0.2, 0.075], prompt="<s>user\nQuestion\nAnswer:"),
        wrong(of, B, p_choices=[0.2, 0.1, 0.4, 0.3], prompt=chat, finish_reason="length", output="cut"),
    ]
    page = ready(open_page(report_of(explorer([of], rows), tmp_path)))
    cells = [
        [re.sub(r"\s", "", text) for text in row.locator("td").all_inner_texts()] for row in page.locator("#explorer-one tbody tr").all()
    ]
    assert cells == [["10.0%", "20.0%"], ["▸62.5%", "10.0%"], ["20.0%", "▸40.0%"], ["7.5%", "30.0%"]]
    assert [row.locator("th").inner_text() for row in page.locator("#explorer-one tbody tr.is-right").all()] == ["B. MRI ✓\xa0right"]
    assert page.locator(".verdict").all_inner_texts() == ["✓ right: B. MRI", "✗ wrong: C. X-ray"]
    assert page.locator(".differs").all_inner_texts() == ["<s>user", "<|im_start|>user"]
    assert "stopped at the token limit" in page.locator(".side").nth(1).inner_text().lower()


def test_fifty_thousand_rows(many: Path, open_page: Open) -> None:
    assert many.stat().st_size < 15_000_000
    page = ready(open_page(many))
    show_everything(page)
    assert n_rows(page) == 50_000
    assert page.locator("#explorer-list .row").count() < 60
    page.locator("#explorer-list").evaluate("list => { list.scrollTop = list.scrollHeight; }")
    sync_api.expect(page.locator("#explorer-list .row[aria-posinset='50000']")).to_be_visible()
    page.locator("#explorer-list").focus()
    page.keyboard.press("End")
    sync_api.expect(page.locator("#explorer-place")).to_have_text("50,000 of 50,000")
    sync_api.expect(page.locator("#explorer-one pre.prompt")).to_have_text(re.compile("Answer:$"))
    page.fill("#explorer-search", "It is 24999.")
    sync_api.expect(page.locator("#explorer-told")).to_have_text("Ids, questions, prompts and outputs were searched.", timeout=60_000)
    assert n_rows(page) == 2
    sync_api.expect(page.locator("#explorer-one pre.output").first).to_have_text("It is 24999.")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_phone_and_desktop_in_light_and_dark(hostile: Path, open_page: Open, size: str, scheme: str) -> None:
    page = ready(open_page(hostile, size=size, color_scheme=scheme))
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    paper, ink = (page.evaluate(f"() => getComputedStyle(document.body).{name}") for name in ("backgroundColor", "color"))
    light, dark = (sum(int(part) for part in re.findall(r"\d+", color)[:3]) for color in (paper, ink))
    assert (light > dark) == (scheme == "light")
    boxes = [page.locator(f"#explorer-{name}").bounding_box() for name in ("list", "one")]
    assert all(box and box["width"] > 200 for box in boxes)
    beside = boxes[1]["x"] >= boxes[0]["x"] + boxes[0]["width"] - 1  # type: ignore[index]
    assert beside == (size == "desktop")
    if size == "phone":
        page.locator("#explorer-list .row").nth(2).tap() if page.context.browser is None else page.locator("#explorer-list .row").nth(
            2
        ).click()
        sync_api.expect(page.locator("#explorer-one h3")).to_be_in_viewport()


def test_print_has_pages_and_no_explorer(hostile: Path, open_page: Open, tmp_path: Path) -> None:
    page = ready(open_page(hostile))
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 3
    page.emulate_media(media="print")
    # A4 without its margins: what is wider makes Chromium shrink the whole page
    page.set_viewport_size({"width": 688, "height": 1000})
    wide = "() => [...document.querySelectorAll('main table')].filter((e) => e.getBoundingClientRect().right > innerWidth).map((e) => e.id)"
    assert page.evaluate(wide) == []
    assert not page.locator("#explorer").is_visible()
    assert page.locator("#tasks").is_visible()


def test_a_report_without_answers_runs_no_script(tmp_path: Path, open_page: Open) -> None:
    page = open_page(report_of(None, tmp_path))
    assert page.locator("script").count() == 0
    assert page.locator("figure svg").count() > 0
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_without_scripts_the_page_says_so(hostile: Path, open_page: Open) -> None:
    page = open_page(hostile, java_script_enabled=False)
    assert page.locator("#explorer-reading").is_visible()
    assert "needs JavaScript" in page.inner_text("#explorer-reading")
    assert not page.locator("#explorer-app").is_visible()


def test_a_browser_that_cannot_decompress_says_so(hostile: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(hostile.as_uri())
    assert "too old" in page.inner_text("#explorer-reading")
    assert not page.locator("#explorer-app").is_visible()
    page.context.close()
