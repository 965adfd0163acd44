"""Saliency maps, and how faithful they are."""
