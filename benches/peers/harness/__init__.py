"""Maxfold's CPU kernel beside every peer: the half of the harness that decides what is timed."""
