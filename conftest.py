"""Which files pytest does not import in search of doctests.

A command shares its name with a function of its package (``results.front``): importing the command would put the
module in the function's place.
"""

collect_ignore = [f"results/{command}.py" for command in ("compare", "front", "report", "select")]
