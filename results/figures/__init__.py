"""The report's figures as plain Plotly figures, for a notebook too.

    from results import figures

    figures.front_3d(results.shown_trials(study), study.directions).show()

Each takes the data and returns a figure. A mark that stands for a trial has the trial's number as its
`customdata`: the page finds there what to show on hover and what to pin.
"""

from results.figures.estimates import estimates as estimates
from results.figures.objectives import CLOUD as CLOUD
from results.figures.objectives import confirmations as confirmations
from results.figures.objectives import front_3d as front_3d
from results.figures.objectives import hypervolume as hypervolume
from results.figures.objectives import pair as pair
from results.figures.parameters import importances as importances
from results.figures.parameters import parallel as parallel
from results.figures.parameters import width_effects as width_effects
from results.figures.parameters import widths as widths
from results.figures.runs import curves as curves
from results.figures.runs import layer_curves as layer_curves
from results.figures.runs import removal as removal
from results.figures.runs import workers as workers
