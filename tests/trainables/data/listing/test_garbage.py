"""The collector rests inside the context, and is afterwards what it was before."""

import gc

import pytest

from trainables.data.listing.garbage import without_collection


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_it_was_whatever_happens_inside(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(KeyError, match="False"), without_collection():
            raise KeyError(gc.isenabled())
        assert gc.isenabled() == enabled
    finally:
        gc.enable()
