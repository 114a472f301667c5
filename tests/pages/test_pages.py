"""Every page the program writes, in a browser: at the width of a telephone and of a desk, light, dark and on paper."""

import json
import re
from pathlib import Path

import pytest

PAGES = ["demo", "report-one", "report-two", "report-unusual", "report-one-step", "report-constant", "report-extremes", "report-near",
         "report-long", "report-many", "report-hostile", "eval", "eval-unusual", "inspect", "bench-cpu", "bench-gpu", "bench-gpu-extras",
         "bench-train"]  # fmt: skip
FIGURES = sorted((Path(__file__).parent.parent.parent / "docs").glob("*.svg"))
SHEET = 688  # CSS pixels between the margins of an A4 sheet


@pytest.mark.parametrize("name", PAGES)
def test_page(browser, pages, name):
    page = pages / f"{name}.html"
    for log in ("browser", "performance"):
        browser.driver.get_log(log)  # of what came before
    faults = {}
    for width in (400, 1280):
        for scheme in ("light", "dark"):
            browser.show(page, width, scheme)
            faults[f"{width} px, {scheme}"] = browser.check("page_checks.js")
    for scheme in ("light", "dark"):  # paper is white whatever the screen is
        browser.show(page, SHEET, scheme, media="print")
        faults[f"print, {scheme}"] = browser.check("print_checks.js")
    assert not any(faults.values()), json.dumps({where: found for where, found in faults.items() if found}, indent=1)
    assert browser.driver.get_log("browser") == []
    sent = [json.loads(entry["message"])["message"] for entry in browser.driver.get_log("performance")]
    asked = {m["params"]["request"]["url"] for m in sent if m["method"] == "Network.requestWillBeSent"}
    assert {url for url in asked if not url.startswith("data:")} == {page.as_uri()}


def text_of(browser, selector: str) -> str:
    return browser.driver.execute_script(f"return document.querySelector('{selector}').textContent")


def test_the_demo_leads_with_its_result(browser, pages):
    browser.show(pages / "demo.html", 400)
    lead = text_of(browser, "main > :nth-child(2)")
    assert "Lighthouse trained in 33% less time than dense (1:20 against 2:00, both on 492K tokens)" in lead
    assert re.search(r"its validation loss is 0\.\d{3} nats lower \(better\) after the same time and "
                     r"0\.\d{3} nats higher \(worse\) after the same tokens\.$", lead), lead  # fmt: skip
    # The picture comes next, and what was trained stands at the end.
    assert browser.driver.execute_script("return document.querySelector('main > :nth-child(3)').className") == "charts"
    headings = browser.driver.execute_script("return [...document.querySelectorAll('h2')].map((h) => h.textContent)")
    assert headings[-1] == "What was trained"


def test_the_result_is_in_the_first_screen(browser, pages):
    for name in ("demo", "report-one", "report-two", "bench-cpu", "bench-gpu", "eval", "inspect", "bench-train"):
        for width in (400, 1280):
            browser.show(pages / f"{name}.html", width)
            bottom = browser.driver.execute_script("return document.querySelector('p.lead').getBoundingClientRect().bottom")
            assert bottom < 900, f"{name} at {width}"


def test_names_and_samples_are_shown_and_not_obeyed(browser, pages):
    browser.show(pages / "report-hostile.html", 400)
    title = text_of(browser, "h1")
    assert "<script>alert(1)<script>\"'&amp;" in title and "\\x1b[31m" in title and "\\xff" in title
    assert browser.driver.execute_script("return document.querySelectorAll('main script, main img').length") == 0
    browser.show(pages / "demo.html", 400)
    sample = text_of(browser, "pre")
    assert "\\x1b[31m" in sample and "\\xff" in sample and "<b>" in sample and "\n" in sample
    browser.show(pages / "inspect.html", 400)
    assert "text <b>.txt" in text_of(browser, "h1")


def test_what_a_chart_leaves_out_is_said(browser, pages):
    browser.show(pages / "report-unusual.html", 1280)
    notes = browser.driver.execute_script("return [...document.querySelectorAll('figure .quiet')].map((p) => p.textContent)")
    assert any(re.search(r"\d+ points without a finite value that fits the axes left out", note) for note in notes), notes
    text = text_of(browser, "main")
    assert "going is not done: step 90 of 120." in text, text
    assert "never-finite's last validation loss is not finite." in text
    browser.show(pages / "eval-unusual.html", 1280)
    assert "Held-out loss is not finite." in text_of(browser, "p.lead") and "nan" not in text_of(browser, "main")
    # A run of skipped steps takes nothing away from what comes after it.
    browser.show(pages / "report-one-step.html", 1280)
    assert browser.driver.execute_script("return document.querySelectorAll('figure circle').length") > 0


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.name)
def test_figures_of_the_documents(browser, path):
    for scheme in ("light", "dark"):
        browser.show(path, 700, scheme)
        faults = browser.check("figure_checks.js")
        assert faults == [], f"{scheme}: {faults}"
