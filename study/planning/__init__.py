"""From what the user asks to a checked request: flags, initial points, the dry run."""
