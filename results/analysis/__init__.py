"""Reading a study and what follows from it: fronts, selection, comparison, importance, confirmation."""
