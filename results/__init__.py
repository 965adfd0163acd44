"""What the runs of a study say: its trials, fronts, figures and report. Needs neither Ray nor torch.

study = results.load("runs/demo")
results.front(study.trials, {"accuracy": "max", "flops": "min", "faithfulness": "max"})
"""

from results.analysis.comparison import attainment as attainment
from results.analysis.comparison import compare as compare
from results.analysis.comparison import coverage as coverage
from results.analysis.confirmation import confirmed as confirmed
from results.analysis.confirmation import probability_nondominated as probability_nondominated
from results.analysis.fronts import front as front
from results.analysis.fronts import history as history
from results.analysis.fronts import hypervolume as hypervolume
from results.analysis.importance import importances as importances
from results.analysis.importance import width_effects as width_effects
from results.analysis.selection import recommend as recommend
from results.analysis.selection import select as select
from results.analysis.studies import Study as Study
from results.analysis.studies import curves as curves
from results.analysis.studies import load as load
from results.page.confusions import by_class as by_class
from results.page.confusions import confusion as confusion
from results.page.writing import write as write
from study_common.objectives import Objective as Objective
