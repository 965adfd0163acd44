"""Where doctests are not looked for: commands. Importing one would hide the function of the same name."""

COMMANDS = {
    "results": ("compare", "front", "report", "select"),
    "study": ("confirm", "launch", "resume", "simulate", "status"),
    "trainables": ("evaluate", "export", "faithfulness", "train"),
}
collect_ignore = [f"{room}/{name}.py" for room, names in COMMANDS.items() for name in names]
