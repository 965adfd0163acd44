"""Serve the studies of a directory to browsers: python -m study.serve"""

from collections.abc import Sequence

from study_common.commands import StudyParser, exit_code, needs
from study_common.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return exit_code(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    if not 0 <= arguments.port < 2**16:
        raise UserError(f"--port is {arguments.port}; it must be in 0 to 65535")
    for module in ("fastapi", "uvicorn"):
        needs(module, "serve")
    from pathlib import Path

    from study.service.server import serve
    from study.service.settings import Settings, allowed_datasets, allowed_models, allowed_spaces, positive

    positive(arguments.max_running, "--max-running")
    positive(arguments.token_days, "--token-days")
    settings = Settings(
        runs_dir=Path(arguments.runs_dir),
        host=arguments.host,
        port=arguments.port,
        spaces=allowed_spaces(arguments.allow_space),
        datasets=allowed_datasets(arguments.allow_dataset),
        models=allowed_models(arguments.allow_model),
        hosts=tuple(arguments.allow_host),
        max_running=arguments.max_running,
    )
    serve(settings, arguments.token_days)
    return 0


def _parser() -> StudyParser:
    parser = StudyParser("study.serve", __doc__)
    add, default = parser.add_argument, "(default: %(default)s)"
    add("--host", default="127.0.0.1", metavar="ADDRESS", help=f"where to listen {default}")
    add("--port", type=int, default=8000, metavar="N", help=f"where to listen; 0: any that is free {default}")
    add(
        "--allow-space", action="append", default=[], metavar="FILE.toml",
        help="a space that studies may search, besides those of the package; may be repeated",
    )  # fmt: skip
    add(
        "--allow-dataset", action="append", default=[], metavar="NAME=DIR",
        help="a data set that studies may train on, besides the embedded one; may be repeated",
    )  # fmt: skip
    add(
        "--allow-model", action="append", default=[], metavar="NAME",
        help="a model that studies may train, besides those with a name of their own; may be repeated",
    )  # fmt: skip
    add(
        "--allow-host", action="append", default=[], metavar="NAME",
        help="a further name by which browsers reach the service; may be repeated",
    )  # fmt: skip
    add("--max-running", type=int, default=4, metavar="N", help=f"commands that it runs at a time {default}")
    add("--token-days", type=float, default=30.0, metavar="D", help=f"how long the token is valid {default}")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
