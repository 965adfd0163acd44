"""Which configuration to try next, and which trial goes on: proposals, samplers, schedulers."""
