"""What the runs of a study say: its trials, fronts, figures and report. Needs neither Ray nor torch.

study = results.load("runs/demo")
results.front(study.trials, {"accuracy": "max", "flops": "min", "faithfulness": "max"})
"""

from results.choosing import recommend as recommend
from results.choosing import select as select
from results.comparison import attainment as attainment
from results.comparison import compare as compare
from results.comparison import coverage as coverage
from results.confirmation import confirmed as confirmed
from results.confirmation import probability_nondominated as probability_nondominated
from results.confusions import by_class as by_class
from results.confusions import confusion as confusion
from results.fronts import front as front
from results.fronts import history as history
from results.fronts import hypervolume as hypervolume
from results.parameters import importances as importances
from results.parameters import width_effects as width_effects
from results.studies import Objective as Objective
from results.studies import Study as Study
from results.studies import curves as curves
from results.studies import load as load
from results.writing import write as write
