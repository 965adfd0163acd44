"""Quantisers of weights and activations, and BatchNorm beside them."""
