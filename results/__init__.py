"""What the runs of a study say: its trials, fronts, figures and report. Needs neither Ray nor torch.

    study = results.load("runs/demo")
    results.front(study.trials, {"accuracy": "max", "flops": "min", "faithfulness": "max"})
"""

from results.studies import Objective as Objective
from results.studies import Study as Study
from results.studies import load as load
