"""Checks the dashboard as a person sees it, in headless Chromium.

    python tests/dashboard/check.py target/release/maxfold [--screenshot FILE]

The program's server runs on a free port over a temporary directory. What has to stand on the page is
computed here, by NumPy.
"""

import argparse
import json
import re

import expected
import numpy as np
import samples
from browser import Keys, Page
from hand import check_hand
from looks import check_looks
from seen import check_ranking, rankings, same
from server import KEY, Server, path_of

NAMES = sorted(samples.COLLECTIONS)
HOSTILE = NAMES[0]
PASSAGES = samples.passages()
PAGES = samples.pages()


def check_key(page):
    """Without a key the server's refusal is shown; with it, the collections."""
    page.open()
    page.wait(lambda: "Must provide an API key" in page.one("main").text, "the refusal")
    refused = page.complaints()
    assert refused and all("401" in it for it in refused), f"expected refusals only, got {refused}"
    page.type("#api-key", KEY)
    page.press("header button", "Use")
    same("headline", page.wait(lambda: page.texts("h1"), "the collections"), [f"{len(NAMES)} collections"])


def check_collections(page, server):
    page.wait(lambda: len(page.all(".cards .status")) == len(NAMES), "every collection's state")
    same("names", page.texts(".cards b"), NAMES)
    same("states", page.texts(".cards .status"), ["green"] * len(NAMES))
    card = page.texts(".cards a")[NAMES.index("passages")]
    for words in ["18 points", "single · dense · 64 · Cosine", "tokens · multivector · 64 · Cosine", "words · sparse · Dot", "on disk"]:
        assert words in card, f"expected {words!r} in {card!r}"
    page.press(".cards b", "passages")
    page.press(".tabs a", "State")
    page.wait(lambda: len(page.all("table")) == 3, "three tables")
    rows = [[cell.text for cell in row.find_elements("css selector", "td")] for row in page.all("tbody tr")]
    graph = server.ask("GET", path_of("passages"))["statistics"]["graphs"]["single"]
    for row in [["single", "dense", "64", "Cosine", "18", str(graph)], ["tokens", "multivector", "64", "Cosine", "18", ""],
                ["words", "sparse", "", "Dot", "18", ""], ["length", "integer", "18"]]:
        assert row in rows, f"expected {row} in {rows}"


def check_points(page):
    """Pages of points, then those of a filter."""
    labels = ".points summary .quiet"
    page.open("passages", "points")
    page.wait(lambda: page.texts(labels) == samples.PASSAGES[:10], "the first page")
    page.press("main button", "Next page")
    page.wait(lambda: page.texts(labels) == samples.PASSAGES[10:], "the second page")
    page.press("main button", "Previous page")
    page.wait(lambda: page.texts(labels) == samples.PASSAGES[:10], "the first page again")
    page.type("textarea", '{"must": [{"key": "length", "range": {"gte": 21}}]}')
    page.press("main button", "Show")
    long = [str(point["id"]) for point in PASSAGES if point["payload"]["length"] >= 21]
    assert 0 < len(long) < 10, "expected samples of which some are long"
    page.wait(lambda: page.texts(".points .id") == long, f"points {long}")


def check_refusal(page):
    """A refusal of the server is said with its words; a text that isn't JSON isn't sent."""
    page.open("passages")
    page.press(".choice button", "JSON")
    page.type("textarea.whole", '{"limit": 3')
    page.press(".request button", "Ask")
    same("faults", page.run("document.querySelectorAll('textarea:invalid').length"), 1)
    page.type("textarea.whole", '{"limt": 3}')
    page.press(".request button", "Ask")
    page.wait(lambda: '"limt"' in "".join(page.texts(".fault")), "the refusal")
    refused = page.complaints()
    assert len(refused) == 1 and "400" in refused[0], f"expected one refusal, got {refused}"


def check_passages(page, request):
    """A typed request: both rankings, whichever prefetch is looked at."""
    query, (single, words) = request["query"], request["prefetch"]
    dense = expected.by_single(PASSAGES, single["query"], single["limit"])
    sparse = expected.by_words(PASSAGES, words["query"], words["limit"])
    candidates = {id for id, _ in dense + sparse}
    after = expected.by_tokens(PASSAGES, "tokens", query, candidates, request["limit"])
    page.open("passages")
    page.typed(json.dumps(request), samples.QUERY)
    for before, title in [(dense, "single"), (sparse, "words")]:
        page.press(".choice button", f"{1 if title == 'single' else 2}: {title}")
        page.settled()
        same("headings", page.texts(".rankings h3"), [f"Before: {title}", "After: tokens"])
        left, right = rankings(page)
        check_ranking(title, left, before[:request["limit"]])
        check_ranking("results", right, after)
        same("moves", [move for *_, move in right], expected.moves(before, after))
        places = dict(before)
        same("lines", page.attributes(".rankings path", "data-id"), [str(id) for id, _ in after if id in places])
    return after


def stages(plan):
    """Stages in the order in which they are drawn: candidates before those who rank them."""
    return [stage for source in plan.get("prefetch", []) for stage in stages(source)] + [plan]


def micros(text):
    value, unit = text.split()
    return float(value.replace(",", "")) * {"µs": 1, "ms": 1e3, "s": 1e6}[unit]


def check_plan(page, server, collection, request, titles):
    """Stages with the numbers of the plan; counts are those of another answer to the same request, too."""
    shown = json.loads(page.texts("#raw")[0])["plan"]
    again = server.ask("POST", f"{path_of(collection)}/points/query?plan=true", request)["plan"]
    same("titles", page.texts(".stage b:first-child"), titles)
    for plan in [shown["query"], again["query"]]:
        wanted = [f"{it['allowed']} allowed → {it['found']} found" for it in stages(plan)]
        same("counts", page.texts(".stage .counts"), wanted)
        same("flows", page.texts(".flow"), [str(it["found"]) for it in stages(plan)[:-1]])
        same("methods", page.texts(".stage .method"), [it["method"] for it in stages(plan)])
    times = [it["micros"] for it in stages(shown["query"])] + [shown["micros"]]
    drawn = [micros(it) for it in page.texts(".stage .micros") + page.texts(".plan .total")]
    np.testing.assert_allclose(drawn, times, rtol=0.051, err_msg="times have two or three digits")
    variant = re.search(r"with (\S+) \(", again["query"]["method"]).group(1)
    same("backends", page.texts(".stage .backend"), [f"cpu · {variant}"])


def check_marks(page, request, id):
    """Words of the hit that is looked at: each query token's nearest is marked, and no other."""
    point = next(point for point in PASSAGES if point["id"] == id)
    names, tokens = samples.words(samples.QUERY), point["payload"]["tokens"]
    table = expected.similarities(request["query"], point["vector"]["tokens"])
    nearest = table.argmax(axis=1)
    same("text", page.texts(".text")[0].split("Not in the text: ")[0], point["payload"]["text"])
    in_text = [tokens[row] for row in sorted(set(nearest)) if row > 0]
    same("marks", [it.lower() for it in page.texts(".text mark") if it != "[CLS]"], in_text)
    chips = [f"{name}{tokens[row]}" for name, row in zip(names, nearest)]
    same("query tokens", [it.split(" · ")[0] for it in page.texts(".token")], chips)
    page.all(".token")[names.index("keeper")].click()
    at = names.index("keeper")
    marks = page.run("[...document.querySelectorAll('.text mark')].map((it) => [Number(it.style.getPropertyValue('--strength')), it.textContent])")
    same("the strongest mark", max(marks)[1].lower(), tokens[nearest[at]])
    same("number of marks", len(marks), len(tokens))
    page.all(".token")[at].click()


def check_keyboard(page, after):
    """Arrow and Enter look at the second hit."""
    page.run("document.querySelector('.rankings ol:last-of-type .hit').focus()")
    page.keys(Keys.ARROW_DOWN)
    page.keys(Keys.ENTER)
    second = after[1][0]
    page.wait(lambda: page.texts(".looked-at .id") == [str(second)], f"point {second} looked at")
    page.settled()
    return second


def check_heat(page, server, request):
    """The hottest patch is where it was planted, over the image, for all query tokens and for one."""
    inner = request["prefetch"]
    single, words = inner["prefetch"]
    sources = [expected.by_single(PAGES, single["query"], single["limit"]), expected.by_words(PAGES, words["query"], words["limit"])]
    before = expected.by_fusion(sources, inner["limit"])
    after = expected.by_tokens(PAGES, "patches", request["query"], {id for id, _ in before}, request["limit"])
    page.open("pages")
    page.typed(json.dumps(request), " ".join(samples.PAGE_QUERY))
    check_plan(page, server, "pages", request, ["Exact scan", "Sparse index", "Fusion by ranks", "MaxSim"])
    left, right = rankings(page)
    check_ranking("fusion", left, before[:request["limit"]])
    check_ranking("results", right, after)
    id = after[0][0]
    column, row = samples.planted(id - 1)
    patches = samples.COLUMNS * samples.ROWS
    table = expected.similarities(request["query"], PAGES[id - 1]["vector"]["patches"])
    same("the planted patch", int(table[0, :patches].argmax()), row * samples.COLUMNS + column)
    same("the last query token's row, which is no patch", int(table[-1].argmax()), patches)
    page.press(".token", page.all(".token")[0].text)
    check_hottest(page, row * samples.COLUMNS + column, patches)
    page.all(".token")[0].click()
    check_hottest(page, int(table[:, :patches].max(axis=0).argmax()), patches)
    check_image(page)


def check_hottest(page, patch, drawn):
    column, row = patch % samples.COLUMNS, patch // samples.COLUMNS
    place = f"column {column + 1}, row {row + 1}"
    image, tile = page.one(".page img").rect, page.one(".heat .hottest").rect
    middle = [(tile[it] + tile[side] / 2 - image[it]) / image[side] for it, side in [("x", "width"), ("y", "height")]]
    wanted = [(column + 0.5) / samples.COLUMNS, (row + 0.5) / samples.ROWS]
    np.testing.assert_allclose(middle, wanted, atol=0.02, err_msg="the hottest tile over the image")
    label = page.one(".heat svg").get_attribute("aria-label")
    assert label.startswith(f"Hottest patch: {place},"), f"expected {place}, got {label}"
    same("patches", len(page.all(".heat rect:not(.hottest)")), drawn)
    strength = {it.get_attribute("data-patch"): float(it.get_attribute("fill").split("/")[1].strip(" )"))
                for it in page.all(".heat rect:not(.hottest)")}
    same("the patch of the strongest colour", max(strength, key=strength.get), str(patch))


def check_image(page):
    image, overlay = page.one(".page img"), page.one(".page svg")
    same("the image's width", page.run("document.querySelector('.page img').naturalWidth"), 480)
    for side in ["x", "y", "width", "height"]:
        assert abs(image.rect[side] - overlay.rect[side]) <= 1, f"expected the heat map over the image, got {overlay.rect}, {image.rect}"


def check_hostile(page):
    """Payloads are text, images of others stay where they are, ids keep all their digits."""
    page.open(HOSTILE, "points")
    page.wait(lambda: len(page.all(".points details")) == 4, "four points")
    same("ids", page.texts(".points .id"), ["3", "4", str(2**63 + 1), samples.hostile()[1]["id"]])
    assert samples.SCRIPT in page.one(".points").get_attribute("textContent"), "expected a payload's text"
    page.open(HOSTILE)
    page.typed(json.dumps({"query": np.eye(4)[:2].tolist(), "using": "rows", "with_payload": True, "with_matches": True}), samples.SCRIPT)
    for hit in page.all(".hit"):
        hit.click()
        page.settled()
        text = page.one(".looked-at").get_attribute("textContent")
        assert samples.SCRIPT in text or "no list" in text, f"expected the payload as text, got {text}"
        if hit.get_attribute("data-id") == samples.hostile()[1]["id"]:
            same("the image that is not loaded", len(page.saying(".looked-at button", "Load the image from elsewhere.invalid")), 1)
        if hit.get_attribute("data-id") == str(2**63 + 1):
            same("marks", page.texts(".text mark"), [samples.SCRIPT, "after"])
    same("scripts", len(page.all("script")), 1)
    same("harm", page.run("window.harmed ?? 0"), 0)


def screenshot(page, file):
    page.size(1440, 1000)
    page.open()
    page.open("pages")
    page.typed(json.dumps(expected.pages_request()), " ".join(samples.PAGE_QUERY))
    page.press(".choice button", "By hand")
    page.press(".choice button", "JSON")
    page.run("document.getElementById('api-key').value = ''")
    page.size(1440, page.run("document.documentElement.scrollHeight"))
    page.driver.save_screenshot(file)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("program")
    arguments.add_argument("--screenshot", metavar="FILE")
    options = arguments.parse_args()
    with Server(options.program) as server, Page(server.address) as page:
        server.fill()
        check_key(page)
        check_collections(page, server)
        check_points(page)
        check_refusal(page)
        request = expected.passages_request()
        after = check_passages(page, request)
        check_plan(page, server, "passages", request, ["Exact scan", "Sparse index", "MaxSim"])
        check_marks(page, request, after[0][0])
        check_marks(page, request, check_keyboard(page, after))
        check_looks(page)
        check_hand(page)
        check_heat(page, server, expected.pages_request())
        check_looks(page)
        check_hostile(page)
        same("complaints of the console", page.complaints(), [])
        same("origins", page.origins(), {server.address})
        if options.screenshot:
            screenshot(page, options.screenshot)
    print("the dashboard is as it has to be")


if __name__ == "__main__":
    main()
