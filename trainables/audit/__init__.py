"""Can the maps of one checkpoint be believed: robustness, sanity checks, agreement between methods."""
