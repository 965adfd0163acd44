"""What tests read from a report, and a front by definition to compare with."""

import json
import re
from html.parser import HTMLParser

import numpy as np

ADDED = ["draws", "p_front", "error.accuracy", "error.flops", "error.faithfulness"]
"""Columns of front.csv beside those of trials.parquet."""


def data_of(html):
    """The JSON that the page's script works on."""
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1]
    )


class Elements(HTMLParser):
    """Counts the elements of a page and collects the addresses that they would load from."""

    def __init__(self):
        super().__init__()
        self.count, self.addresses = {}, []

    def handle_starttag(self, tag, attributes):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.addresses += [value for name, value in attributes if name in ("src", "href") and value]


def elements(html):
    parser = Elements()
    parser.feed(html)
    return parser


def brute_front(frame, directions):
    values = frame[[f"metrics.{name}" for name in directions]] * [
        1 if w == "min" else -1 for w in directions.values()
    ]
    good = frame[(frame["state"] == "complete") & frame["feasible"] & np.isfinite(values).all(axis=1)].index
    beaten = {
        b
        for b in good
        for a in good
        if (values.loc[a] <= values.loc[b]).all() and (values.loc[a] < values.loc[b]).any()
    }
    return frame.loc[[label for label in good if label not in beaten], "number"].to_list()
