"""Which configuration to try next, and which trial continues: proposals, samplers, schedulers."""
