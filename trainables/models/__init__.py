"""The networks, their pretrained weights, and what they cost."""
