"""Checks of requests that are built by hand, over the page images."""

import json

import expected
import samples
from seen import check_ranking, rankings, same

PAGES = samples.pages()


def check_hand(page):
    """A request built by hand; it is the one that the other editor shows, and its answer is right."""
    page.open("pages")
    for field in ["stage-value", "stage-0-value"]:
        page.type(f"#{field}", "3")
    page.type("#stage-limit", "4")
    page.press(".request button", "Ask")
    page.wait(lambda: len(page.all(".rankings ol")) == 2, "two rankings")
    page.settled()
    point = PAGES[2]
    others = [it for it in PAGES if it["id"] != 3]
    _, right = rankings(page)
    candidates = {it["id"] for it in others}
    check_ranking("results", right, expected.by_tokens(others, "patches", point["vector"]["patches"], candidates, 4))
    page.press(".choice button", "JSON")
    body = json.loads(page.one("textarea.whole").get_attribute("value"))
    first = {"query": 3, "using": "single", "limit": 100}
    same("request", body, {"prefetch": [first], "query": 3, "using": "patches", "limit": 4, "with_payload": True, "with_matches": True})
    check_fusion_by_hand(page, others, [first, {"query": 3, "using": "patches", "limit": 100}])


def check_fusion_by_hand(page, others, prefetch):
    """A second prefetch, then the last stage made a fusion of both."""
    page.press(".choice button", "By hand")
    page.all("#stage-add")[0].click()
    page.choose("#stage-1-using", "patches")
    page.type("#stage-1-value", "3")
    page.choose("#stage-kind", "rrf")
    page.press(".request button", "JSON")
    body = json.loads(page.one("textarea.whole").get_attribute("value"))
    same("request", body, {"prefetch": prefetch, "query": {"fusion": "rrf"}, "limit": 4, "with_payload": True})
    page.press(".request button", "Ask")
    page.wait(lambda: page.texts(".stage.last b:first-child") == ["Fusion by ranks"], "the fusion")
    page.settled()
    vectors = PAGES[2]["vector"]
    single = expected.by_single(others, vectors["single"], 100)
    patches = expected.by_tokens(others, "patches", vectors["patches"], {it["id"] for it in others}, 100)
    check_ranking("fusion", rankings(page)[1], expected.by_fusion([single, patches], 4))
