"""What all packages share: errors, command lines, the layout on disk, objectives. Plain Python is enough."""
