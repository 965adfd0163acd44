"""The report: one self-contained HTML page, made of panels, and the files written beside it."""
