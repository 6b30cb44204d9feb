"""Checks that hold for the page whatever stands on it."""

import re

import numpy as np


def check_looks(page):
    """Nothing hangs out of a phone, and text can be read in both schemes."""
    for scheme in ["light", "dark"]:
        page.scheme(scheme)
        for width in [360, 768, 1440]:
            page.size(width, 800)
            wide = page.run("document.documentElement.scrollWidth")
            assert wide <= width, f"expected nothing wider than {width}, got {wide}"
        ink, ground = (page.run(f"getComputedStyle(document.body).{it}") for it in ["color", "backgroundColor"])
        assert contrast(ink, ground) >= 7, f"expected {ink} to stand out from {ground} ({scheme})"
    page.scheme("light")


def contrast(*colours):
    """Ratio of luminances, as WCAG has it."""
    def luminance(colour):
        values = np.array([int(it) / 255 for it in re.findall(r"\d+", colour)[:3]])
        return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    dark, light = sorted(map(luminance, colours))
    return (light + 0.05) / (dark + 0.05)
