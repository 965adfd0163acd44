"""What a list of operations says of itself."""

from trainables.deployment.operations import Operation, layers, users


def test_each_operation_knows_who_reads_it() -> None:
    image = Operation(name="image", kind="image", inputs=(), shape=(1, 4, 4))
    one = Operation(name="one", kind="relu", inputs=("image",), shape=(1, 4, 4))
    both = Operation(name="both", kind="add", inputs=("image", "one"), shape=(1, 4, 4))
    assert users([image, one, both]) == {"image": [one, both], "one": [both], "both": []}
    assert layers([image, one, both]) == []
