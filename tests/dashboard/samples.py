"""Collections for the dashboard's test: passages with their tokens, pages as images, and hostile payloads.

Their vectors are made of hashes, so that equal words have near vectors, and every run has the same.
"""

import base64
import re
import zlib

import numpy as np

DIMENSIONS = 64

PASSAGES = [
    "The keeper climbs the tower at dusk and lights the lamp before the first ship passes the reef.",
    "A lighthouse without a keeper: since 1989 a sensor switches the lamp on when the sky darkens.",
    "Ships that pass at night count the flashes of the lamp and know which lighthouse they see.",
    "In winter the harbour freezes, and the ferry stays at the quay until the ice is broken.",
    "The ferry crosses the sound four times a day; in fog it follows the sound of a bell.",
    "Gulls nest on the cliff below the lighthouse, where no fox can climb.",
    "The lens of the lamp turns in a bath of mercury, so lightly that a finger can move it.",
    "A keeper's diary tells of storms, of visitors, and of the price of oil for the lamp.",
    "Fog signals were fired by hand: a charge of powder every ten minutes, all night long.",
    "The island has a school with seven pupils and a teacher who comes by boat.",
    "Oil was carried up the stairs in cans, two hundred steps, every evening before dusk.",
    "The reef is marked on charts since 1742, after a ship with a cargo of tea was lost there.",
    "At dawn the keeper puts the lamp out, cleans the lens and draws the curtains against the sun.",
    "The old quay was built of granite from the quarry on the north side of the island.",
    "Tides run strongly in the sound: a boat without an engine waits for slack water.",
    "A museum in the tower shows the clockwork that turned the lens before there was electricity.",
    "The weather station on the hill measures wind, rain and the height of the clouds.",
    "Sailors call the point a graveyard, although nobody has been lost there since the lamp was lit.",
]
QUERY = "when does the keeper light the lamp"

COLUMNS, ROWS, SPECIAL = 12, 16, 3
PAGES = [
    ("Annual report", "revenue by region"),
    ("Harbour survey", "depth of the basin"),
    ("Ferry timetable", "passengers each month"),
    ("Weather station", "rain by region"),
    ("Bird count", "nests on the cliff"),
    ("Lens manual", "parts of the lamp"),
    ("Oil accounts", "revenue of a barrel"),
    ("Quarry plan", "layers of granite"),
    ("Tide tables", "height at noon"),
    ("Museum guide", "visitors by region"),
    ("School letter", "pupils each year"),
    ("Chart of the sound", "wrecks near the reef"),
]
PAGE_QUERY = ["chart", "revenue", "region"]


def hashed(word):
    """A direction for a word: the sum of those of its parts, so that similar words are near."""
    word = f"<{word.lower()}>"
    parts = [word, *(word[at:at + 3] for at in range(len(word) - 2))]
    total = sum(np.random.default_rng(zlib.crc32(part.encode())).normal(size=DIMENSIONS) for part in parts)
    return total / np.linalg.norm(total)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def words(text):
    return re.findall(r"\w+|[^\w\s]", text)


def token_rows(tokens):
    """A row for each token, with a little of those beside it."""
    rows = np.array([hashed(token) for token in tokens])
    around = np.pad(rows, ((1, 1), (0, 0)))
    return unit(rows + 0.15 * (around[:-2] + around[2:]))


def dense(rows):
    return unit(rows.mean(axis=0))


def sparse(tokens):
    weights = {zlib.crc32(token.lower().encode()) % 100_000: 1.0 for token in tokens}
    return {"indices": sorted(weights), "values": [weights[index] for index in sorted(weights)]}


def passages():
    points = []
    for number, text in enumerate(PASSAGES, start=1):
        tokens = ["[CLS]", *words(text.lower())]
        rows = token_rows(tokens)
        payload = {"text": text, "tokens": tokens, "length": len(tokens)}
        points.append({"id": number, "payload": payload, "vector": {
            "single": dense(rows), "words": sparse(tokens[1:]), "tokens": rows}})
    return points


def planted(page):
    """Column and row of the patch of a page that its chart stands on."""
    return 2 + (page * 5) % (COLUMNS - 4), 5 + (page * 3) % (ROWS - 8)


def page_rows(page, title, caption):
    """Patches that are more like the chart the nearer they are to it; then rows that are no patches."""
    noise = np.random.default_rng(page)
    column, row = planted(page)
    at = np.arange(COLUMNS * ROWS)
    distance = (at % COLUMNS - column) ** 2 + (at // COLUMNS - row) ** 2
    near = np.exp(-distance / 8.0)[:, None]
    chart = unit(hashed("chart") + sum(hashed(word) for word in words(caption)))
    rest = unit(hashed(title.split()[0]) + 1.4 * unit(noise.normal(size=(len(at), DIMENSIONS))))
    # One row that is no patch is more like the query than any patch: on the page it must not be seen.
    special = unit(np.vstack([hashed(PAGE_QUERY[-1]), noise.normal(size=(SPECIAL - 1, DIMENSIONS))]))
    patches = near * chart + (1 - near) * rest
    patches[row * COLUMNS + column] += 0.6 * hashed("chart")
    return np.vstack([unit(patches), special])


def page_image(page, title, caption):
    """The page, as SVG in a data: URI: a heading, lines of text, and a chart."""
    column, row = planted(page)
    noise = np.random.default_rng(100 + page)
    chart_top, chart_bottom = row * 20 - 35, row * 20 + 60
    lines = [y for y in range(50, 310, 9) if not chart_top - 12 < y < chart_bottom + 6]
    text = "".join(
        f"<rect x='18' y='{y}' width='{int(noise.integers(150, 204))}' height='3.2' rx='1' fill='#b9bcc4'/>" for y in lines)
    left = min(max(column * 20 - 45, 18), 112)
    bars = "".join(
        f"<rect x='{left + 8 + 15 * it}' y='{chart_bottom - 14 - height}' width='10' height='{height}' fill='#4668c5'/>"
        for it, height in enumerate(int(value) for value in noise.integers(18, 62, size=6)))
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 240 320' width='480' height='640'>"
        "<rect width='240' height='320' fill='#fff'/>"
        f"<text x='18' y='32' font-family='sans-serif' font-size='15' font-weight='bold' fill='#23262e'>{title}</text>{text}"
        f"<rect x='{left}' y='{chart_top}' width='110' height='{chart_bottom - chart_top}' fill='#f4f5f8' stroke='#d5d8df'/>{bars}"
        f"<text x='{left + 8}' y='{chart_bottom - 4}' font-family='sans-serif' font-size='7.5' fill='#555'>{caption}</text></svg>")
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def pages():
    points = []
    for page, (title, caption) in enumerate(PAGES):
        rows = page_rows(page, title, caption)
        payload = {"title": f"{title}: {caption}", "image": page_image(page, title, caption), "grid": [COLUMNS, ROWS]}
        points.append({"id": page + 1, "payload": payload, "vector": {
            "single": dense(rows[:-SPECIAL] + hashed(title.split()[0])), "words": sparse(words(f"{title} {caption}")), "patches": rows}})
    return points


SCRIPT = "<img src=x onerror='window.harmed = 1'><script>window.harmed = 1</script>"


def hostile():
    """Payloads that would do harm if they were read as HTML, and ids that a double cannot hold."""
    rows = np.eye(4)[:2]
    payloads = [
        {"text": f"before {SCRIPT} after", "tokens": [SCRIPT, "after"]},
        {"title": SCRIPT, "image": "http://elsewhere.invalid/seen.png", "grid": [2, 1]},
        {"title": "</pre>" + SCRIPT, "image": "javascript:window.harmed=1", "grid": [SCRIPT, -1]},
        {"tokens": "no list", "text": 7, "image": 'data:image/png,"><script>window.harmed=1</script>', SCRIPT: SCRIPT},
    ]
    ids = [2**63 + 1, "0b0e8f0c-5d0f-4d3a-9a53-0e6b9c1f2a77", 3, 4]
    return [{"id": id, "payload": payload, "vector": {"rows": rows}} for id, payload in zip(ids, payloads)]


def vector(multi=False, size=DIMENSIONS):
    return {"size": size, "distance": "Cosine", **({"multivector_config": {"comparator": "max_sim"}} if multi else {})}


COLLECTIONS = {
    "passages": ({"vectors": {"single": vector(), "tokens": vector(True)}, "sparse_vectors": {"words": {}}}, passages),
    "pages": ({"vectors": {"single": vector(), "patches": vector(True)}, "sparse_vectors": {"words": {}}}, pages),
    "it's 100% & more": ({"vectors": {"rows": vector(True, 4)}}, hostile),
}
