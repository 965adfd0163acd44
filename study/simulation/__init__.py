"""Replays of a recorded table of learning curves on a virtual clock."""
