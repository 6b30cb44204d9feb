"""Comparisons of what stands on the page with what has to."""

import numpy as np


def same(what, got, wanted):
    assert got == wanted, f"{what}: expected {wanted!r}, got {got!r}"


def rankings(page):
    """Ids, scores and moves of the lists of hits, from left to right."""
    return page.run("""[...document.querySelectorAll('.rankings ol')].map((list) => [...list.querySelectorAll('.hit')].map((hit) =>
        [hit.dataset.id, ...['.score', '.move'].map((it) => hit.querySelector(it)?.textContent)]))""")


def check_ranking(what, drawn, wanted):
    same(f"order of {what}", [int(id) for id, *_ in drawn], [id for id, _ in wanted])
    np.testing.assert_allclose([float(score) for _, score, _ in drawn], [score for _, score in wanted], rtol=1e-3, err_msg=what)
