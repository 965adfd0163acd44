"""From image files to pixels: decoding, duplicates, the cache of decoded images, normalisation."""
