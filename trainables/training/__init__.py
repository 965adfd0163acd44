"""One training run: its configuration, the SGT-PACT step, the loop over epochs, evaluation and checkpoints."""
