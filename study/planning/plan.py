"""The plan: checks that turn what a user asks for into a `Request`. Nothing is written before they all pass."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import search_spaces
import trainables
from search_spaces import Choice, Domain, Space
from search_spaces.bits import is_width
from study.planning import for_target, initial_points
from study.planning.spec import IMAGES, Spec
from study.store import database, directory
from study.store.inputs import Inputs
from study.store.options import DEFAULT_TRIALS, Options, check_choices, check_log, check_rules
from study.store.request import BASIC, Request
from study.store.versions import git_commit, versions
from study_common import objectives
from study_common.errors import StudyWarning, UserError, check_known, located
from study_common.files import expanded, real
from study_common.layout import find_study
from study_common.machine import available_cpus
from study_common.objectives import COSTS, Objective
from trainables import Config
from trainables.training.config import IMAGE_PLACES, OF_START
from trainables.training.inputs import forget_images, masks_of

_OURS = ("rungs", "refit")
_FLAGS = {name: f"--{name.replace('_', '-')}" for name in (*BASIC, *IMAGES, "epochs", "seed")} | {
    "init": "--init",
    "pretrained": "--weights",
}
_ALIKE = {
    name: f"--set {name}=..."
    for name in ("attribution", "image_size", "crop_border", "on_bad_image", "positive")
}
"""Settings that decide how trials are measured; all trials of a study share them, so that they can be compared."""


def plan(spec: Spec) -> Request:
    """Check what the user asks for against the space, the model and the data, and fill in what was left open.

    Args:
        spec: What a user asks for.

    Returns:
        The request that is frozen in `study.toml`. Nothing is written yet.

    Raises:
        UserError: Something is wrong with `spec`; one sentence with the remedy.
    """
    _check_values(spec)
    target = search_spaces.load_target(spec.target) if spec.target else None
    if target:
        spec = replace(spec, fixed=for_target.settings(spec.fixed, target))
    config, fixed = _base(spec)
    space = _space(spec, fixed, config)
    if target:
        space, fixed = for_target.restrict(space, fixed, target)
    forget_images(config)
    facts = trainables.dataset_facts(config)
    trainables.check_pretrained(config)
    _check_shared(spec, space)
    _check_runs(spec, space, config)
    if not spec.masks and (pointed := [name for name in objectives.LOCALISATION if name in spec.objectives]):
        raise UserError(
            f"{pointed[0]} needs to know where the findings are; give their --masks, or other objectives"
        )
    asked_goals = objectives.parse(spec.objectives, facts.classes, trainables.costs(_at_full_width(config)))
    goals = _varying(asked_goals, space, fixed)
    bounds = {"bops": spec.max_bops, "size_bytes": spec.max_size}
    constraints = {name: bound for name, bound in bounds.items() if bound < math.inf}
    _check_reachable(space, fixed, constraints)
    queue = [] if space.points or spec.sampler == "grid" else initial_points.corners(space, config.flat())
    if spec.warm_start:
        queue += initial_points.front_of(find_study(spec.warm_start, spec.runs_dir), space, config.flat())
    if target:
        queue = [p for p in queue if target.accepts(Config.parse({**fixed, **p}).flat())]
    asked = {option.name: getattr(spec, option.name) for option in fields(Options)}
    decided: dict[str, Any] = {
        "trials": spec.trials or DEFAULT_TRIALS,
        "epochs": config.epochs,
        "workers": spec.workers or 0,
        "storage": database.public(spec.storage),
    }
    if spec.replicates >= decided["trials"]:
        raise UserError(
            f"--replicates {spec.replicates} leaves none of the {decided['trials']} trials to search with; give fewer, "
            "or more --trials"
        )
    request = Request(
        **asked | decided,
        name=directory.free_name(spec.name, space.name, spec.runs_dir),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=spec.command,
        git_commit=git_commit(),
        space=space,
        fixed=fixed,
        queue=queue,
        objectives=goals,
        constraints=constraints,
        init_settings=dict(spec.init_settings),
        target=_place_of_target(spec.target),
        pretrained_digest=Inputs.of(config).weights,
        log=spec.log,
        rungs=rungs(config.epochs, spec.reduction_factor),
        data={"dataset": config.dataset, **vars(facts), "test_masks": _test_masks(config)},
        versions=versions(),
    )
    _check_start(request)
    return request if spec.trials else replace(request, trials=request.attainable)


def _check_start(request: Request) -> None:
    """Raise UserError if the model that all trials start from could not be trained."""
    with located("--init-set"):  # the settings of trials have been parsed before
        start = request.start()
    if start is None:
        return
    if start.epochs < 1:
        raise UserError(
            f"--init-set: epochs is {start.epochs}, and the model of --init is to be trained; give 1 or more"
        )
    with located(f"the {request.init} model of --init {request.init}"):
        trainables.check_run(start)


def rungs(epochs: int, reduction_factor: int) -> tuple[int, ...]:
    """Return the epochs of the rungs: `epochs` divided by powers of the factor, down to 1.

    >>> rungs(9, 3), rungs(10, 3), rungs(1, 3)
    ((1, 3, 9), (1, 3, 10), (1,))
    """
    levels = {epochs}
    while epochs > 1:
        epochs = max(1, round(epochs / reduction_factor))
        levels.add(epochs)
    return tuple(sorted(levels))


def _check_values(spec: Spec) -> None:
    check_choices(Spec, vars(spec))
    check_rules(Spec, vars(spec))
    check_log(spec.log)
    if spec.init_settings and not spec.init:
        raise UserError("--init-set is for the model that --init trains; add --init float or --init shared")
    if spec.init == "shared" and spec.sampler == "grid":
        raise UserError(
            "--init shared is for choosing among configurations, and --sampler grid tries them all; use another "
            "sampler, or --init float"
        )
    if others := spec.init_settings.keys() - set(OF_START):
        raise UserError(
            f"--init-set cannot set {min(others)}; it can set {', '.join(OF_START)}, and all else is as in the trials"
        )
    if not spec.address and (spec.workers or 0) > (cpus := available_cpus()):
        warnings.warn(
            f"--workers is {spec.workers} and this process may use {cpus} CPUs: more trials at a time are not faster; "
            "join a cluster with --address for more CPUs",
            StudyWarning,
            stacklevel=2,
        )
    for name in spec.fixed:
        if name in _FLAGS:
            raise UserError(f"{name} has a flag of its own, {_FLAGS[name]}; use that instead of --set")
    _check_names(search_spaces.load(spec.space), spec.fixed)
    database.check_typed(spec.storage)


def _check_names(space: Space, given: Mapping[str, Any]) -> None:
    """Raise UserError for a name that is not for the space or for --set to decide."""
    for name in (*given, *space.names()):
        if name in _OURS:
            raise UserError(f"{name} is for the study itself to set; leave it out")
    varied = {*space.parameters, *(space.points[0] if space.points else ())}
    alike = {name: flag for name, flag in (_FLAGS | _ALIKE).items() if name in varied}
    alike |= {name: flag for name, flag in _FLAGS.items() if name in space.fixed}
    for name, flag in sorted(alike.items()):
        raise UserError(f"space {space.name}: {name} must be the same for all trials; set it with {flag}")


def _base(spec: Spec) -> tuple[Config, dict[str, Any]]:
    """Return the configuration that all trials share, and those of its settings that are not defaults."""
    fixed: dict[str, Any] = {name: getattr(spec, name) for name in (*BASIC, *IMAGES) if getattr(spec, name)}
    fixed |= search_spaces.load(spec.space).fixed | dict(spec.fixed) | {"seed": spec.seed}
    for name in IMAGE_PLACES:
        if path := getattr(spec, name):
            fixed[name] = str(real(expanded(path)))
    if spec.weights:
        fixed["pretrained"] = str(expanded(spec.weights))
    if spec.epochs:
        fixed["epochs"] = spec.epochs
    config = Config.parse(fixed)
    if spec.weights:
        fixed["pretrained"] = trainables.locate_pretrained(config)
        config = Config.parse(fixed)
    return config, {"dataset": config.dataset, "model": config.model, **fixed}


def _test_masks(config: Config) -> str:
    """Return the fingerprint of the masks of the test images, which a confirmation reads; "" if there are none."""
    try:
        return masks_of(config, "test").fingerprint if config.masks else ""
    except UserError as error:
        reason = str(error).split("; ")[0]
        warnings.warn(f"{reason}; study.confirm will need such masks", StudyWarning, stacklevel=2)
        return ""


def _place_of_target(typed: str) -> str:
    """A target as it can be typed in any folder: its name, or the whole path of its file."""
    return str(real(expanded(typed))) if typed.endswith(".toml") else typed


def _space(spec: Spec, fixed: Mapping[str, Any], config: Config) -> Space:
    """Return the space resolved for the model, each of its values accepted by the configuration."""
    space = search_spaces.load(spec.space)
    with located(f"space {space.name}"):
        space = space.fix(spec.fixed).resolve(trainables.layers(config)).settle(config.flat())
        for name, domain in space.parameters.items():
            with located(f"parameter {name}"):
                check_known("setting", (domain.when or {}).keys() - space.parameters.keys(), Config.names())
            for value in _extremes(domain):
                Config.parse({**fixed, name: value})
        for point in space.points:
            Config.parse({**fixed, **point})
        if spec.sampler == "grid":
            space.grid()
        if not (space.parameters or space.points):
            raise UserError("--set fixes all that it varies; leave something to search")
    return space


def _extremes(domain: Domain) -> Sequence[Any]:
    return domain.finite() if isinstance(domain, Choice) else (domain.low, domain.high)


def _check_runs(spec: Spec, space: Space, config: Config) -> None:
    """Raise UserError if a trial would end before its first step."""
    varied = space.parameters.get("batch_size")
    sizes = _extremes(varied) if varied else {p.get("batch_size", config.batch_size) for p in space.points}
    for size in sizes or (config.batch_size,):
        trainables.check_run(replace(config, batch_size=int(size)))


def _check_shared(spec: Spec, space: Space) -> None:
    """Raise UserError if --init shared cannot have the effect that it is asked for."""
    if spec.init != "shared":
        return
    if not space.widths():
        what = "lists its configurations" if space.points else "varies none"
        raise UserError(
            f"--init shared trains one model of all widths, and space {space.name} {what}; choose a space with a "
            "[bits] table, or use --init float"
        )


def _varying(goals: Mapping[str, Objective], space: Space, fixed: Mapping[str, Any]) -> dict[str, Objective]:
    """Return the objectives without the costs that are the same for all configurations; warn of those."""
    costs = [trainables.costs(Config.parse({**fixed, **point})) for point in _cost_extremes(space)]
    constant = [name for name in goals if name in COSTS and len({cost[name] for cost in costs}) == 1]
    kept = {name: goal for name, goal in goals.items() if name not in constant}
    same = f"{' and '.join(constant)} cannot vary in space {space.name} with these settings"
    if constant and len(kept) < 2:
        raise UserError(f"{same}, and a study needs two objectives; name others with --objectives")
    if constant:
        warnings.warn(f"{same}: left out of the objectives", StudyWarning, stacklevel=3)
    return kept


def _cost_extremes(space: Space) -> list[Mapping[str, Any]]:
    """Return configurations whose costs differ if those of any do: least and greatest widths, and each choice."""
    if space.points:
        return list(space.points)
    choices = {
        name: _extremes(domain) for name, domain in space.parameters.items() if isinstance(domain, Choice)
    }
    widths = {name: _extremes(domain) for name, domain in space.parameters.items() if is_width(name)}
    least, most = ({name: pick(values) for name, values in widths.items()} for pick in (min, max))
    others = [{**least, name: v} for name, values in choices.items() if not is_width(name) for v in values]
    return [least, most, *others]


def _check_reachable(space: Space, fixed: Mapping[str, Any], constraints: Mapping[str, float]) -> None:
    """Raise UserError if even the smallest widths of the space cost more than a constraint allows."""
    smallest = {name: min(_extremes(domain)) for name, domain in space.parameters.items() if is_width(name)}
    costs = [trainables.costs(Config.parse({**fixed, **point})) for point in space.points or (smallest,)]
    for name, bound in constraints.items():
        if (least := min(cost[name] for cost in costs)) > bound:
            flag = {"bops": "--max-bops", "size_bytes": "--max-size"}[name]
            raise UserError(
                f"the cheapest configuration of the space has {name} {least:,}; give {flag} that or more"
            )


def _at_full_width(config: Config) -> Config:
    return replace(config, w_bits={}, a_bits={})
