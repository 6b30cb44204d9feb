"""Answers computed by NumPy from the samples' vectors."""

import numpy as np
import samples

# Scores nearer than this could be taken past each other by rounding: samples must not have such.
CLEAR = 1e-5


def round4(array):
    return np.round(np.asarray(array), 4).tolist()


def similarities(query, rows):
    """Of each row of the query, to each row of a document."""
    return samples.unit(np.array(query)) @ samples.unit(np.array(rows)).T


def max_sim(query, rows):
    return similarities(query, rows).max(axis=1).sum()


def ranked(scores, limit):
    """Ids and scores, best first, then by id."""
    order = sorted(scores.items(), key=lambda it: (-it[1], it[0]))[:limit]
    gaps = -np.diff([score for _, score in order])
    assert all(gap == 0 or gap > CLEAR for gap in gaps), "expected samples with clearly different scores"
    return order


def by_single(points, vector, limit):
    return ranked({point["id"]: similarities([vector], [point["vector"]["single"]]).item() for point in points}, limit)


def by_words(points, query, limit):
    weights = dict(zip(query["indices"], query["values"]))
    scores = {}
    for point in points:
        words = point["vector"]["words"]
        common = [weights[index] * value for index, value in zip(words["indices"], words["values"]) if index in weights]
        if common:
            scores[point["id"]] = sum(common)
    return ranked(scores, limit)


def by_fusion(rankings, limit):
    """Reciprocal ranks, as the server fuses them: 1/2 for a first place, 1/3 for a second."""
    scores = {}
    for ranking in rankings:
        for place, (id, _) in enumerate(ranking):
            scores[id] = scores.get(id, 0) + 1 / (place + 2)
    return ranked(scores, limit)


def by_tokens(points, using, query, candidates, limit):
    scores = {point["id"]: max_sim(query, point["vector"][using]) for point in points if point["id"] in candidates}
    return ranked(scores, limit)


def moves(before, after):
    """Moves of results, as the page says them."""
    places = {id: place for place, (id, _) in enumerate(before)}

    def move(id, place):
        if id not in places:
            return "new"
        up = places[id] - place
        return "=" if up == 0 else f"▲ {up}" if up > 0 else f"▼ {-up}"

    return [move(id, place) for place, (id, _) in enumerate(after)]


def passages_request():
    """The request over the passages, in its parts."""
    tokens = samples.words(samples.QUERY)
    rows = samples.token_rows(tokens)
    return {
        "prefetch": [
            {"query": round4(samples.dense(rows)), "using": "single", "limit": 12},
            {"query": samples.sparse(tokens), "using": "words", "limit": 10},
        ],
        "query": round4(rows), "using": "tokens", "limit": 8, "with_payload": True, "with_matches": True,
    }


def pages_request():
    rows = np.array([samples.hashed(word) for word in samples.PAGE_QUERY])
    return {
        "prefetch": {
            "prefetch": [
                {"query": round4(samples.dense(rows)), "using": "single", "limit": 11},
                {"query": samples.sparse(samples.PAGE_QUERY), "using": "words", "limit": 6},
            ],
            "query": {"fusion": "rrf"}, "limit": 11,
        },
        "query": round4(rows), "using": "patches", "limit": 9, "with_payload": True, "with_matches": True,
    }
