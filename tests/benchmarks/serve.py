"""The web service under load: 50 readers while a study writes, and the refresh of a page of a long study.

    python -m tests.benchmarks.serve [--json FILE] [--seconds 20] [--trials 100000]

The service is a process of its own, as is the writer, which adds a trial and ends it 5 times per second. A reader asks
for the page, the list or the detail of the study, waits for all of it, and pauses for 0.2 s. `p95_ms_50_readers` is
over all requests; afterwards the service must show every trial that was written. `refresh_100k_s` is the time from the
commit of a new trial until a client has, after the event of it, the whole page with the trial in it: the median of
`REFRESHES`. The lock of the study is held as a driver holds it, so that the service reads what has changed.
"""

import argparse
import fcntl
import http.client
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import optuna

from study.service.kept import REST
from study_common import layout
from tests.benchmarks.results import insert
from tests.results import sample
from tests.study.service.conftest import write_study

READERS = 50
PAUSE_S = 0.2
REFRESHES = 5
PATHS = ("/studies/s", "/api/studies/s", "/api/studies", "/")

WRITER = """
import fcntl, sys, time
from pathlib import Path
import optuna
from study_common import layout
from tests.results import sample
optuna.logging.set_verbosity(optuna.logging.WARNING)
written, end = 0, time.monotonic() + float(sys.argv[2])
with (Path(sys.argv[1]) / layout.LOCK_FILE).open("w") as lock, sample.opened(Path(sys.argv[1])) as study:
    fcntl.flock(lock, fcntl.LOCK_EX)
    for trial in sample.trials(10**6, seed=1):
        if time.monotonic() > end:
            break
        study.add_trial(trial)
        written += 1
        time.sleep(0.2)
print(written)
"""


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.serve", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the readers read")
    parser.add_argument("--trials", type=int, default=100_000, help="trials of the long study")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    measured = {**readers(arguments.seconds), **refresh(arguments.trials)}
    for name, value in measured.items():
        print(f"{name:28} {value:10.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=2))


@contextmanager
def served(runs: Path) -> Iterator[tuple[str, int]]:
    """Start the service and give its address."""
    words = [sys.executable, "-m", "study.serve", "--runs-dir", str(runs), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield "127.0.0.1", int(process.stdout.readline().strip().rstrip("/").rpartition(":")[2])
        process.terminate()


def readers(seconds: float) -> dict[str, float]:
    """Return the latencies of `READERS` readers while a study writes, and check that no update is lost."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs" / "s"
        write_study(path, list(sample.trials(200)))
        with served(path.parent) as address:
            ask(address, PATHS[0])
            writer = subprocess.Popen(
                [sys.executable, "-c", WRITER, str(path), str(seconds + 3)], stdout=subprocess.PIPE, text=True
            )
            times: list[float] = []
            threads = [
                threading.Thread(target=read, args=(address, seconds, k, times)) for k in range(READERS)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            written = int(writer.communicate()[0])
            deadline = time.monotonic() + 60
            while shown(address) != 200 + written:
                assert time.monotonic() < deadline, "an update was lost"
                time.sleep(0.2)
    return {
        "requests": len(times),
        "written": written,
        "p50_ms_50_readers": 1000 * statistics.median(times),
        "p95_ms_50_readers": 1000 * statistics.quantiles(times, n=20)[-1],
    }


def read(address: tuple[str, int], seconds: float, seed: int, times: list[float]) -> None:
    """Read as one reader does."""
    random_ = random.Random(seed)
    time.sleep(random_.random() * PAUSE_S)
    end = time.monotonic() + seconds
    with closing(http.client.HTTPConnection(*address, timeout=60)) as connection:
        while time.monotonic() < end:
            start = time.perf_counter()
            connection.request("GET", random_.choice(PATHS))
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            times.append(time.perf_counter() - start)
            time.sleep(PAUSE_S)


def ask(address: tuple[str, int], path: str) -> bytes:
    """Return one answer."""
    with closing(http.client.HTTPConnection(*address, timeout=600)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, answer.status
        return content


def shown(address: tuple[str, int]) -> int:
    """Return how many trials the service shows."""
    return sum(json.loads(ask(address, "/api/studies/s"))["states"].values())


def refresh(trials: int) -> dict[str, float]:
    """Return how long it takes from a change of a long study to the page that shows it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs" / "s"
        write_study(path, [])
        insert(path / layout.RECORD_FILE, sample.trials(trials))
        with served(path.parent) as address, (path / layout.LOCK_FILE).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            start = time.perf_counter()
            ask(address, "/studies/s")
            first = time.perf_counter() - start
            with (
                closing(http.client.HTTPConnection(*address, timeout=600)) as connection,
                sample.opened(path) as study,
            ):
                connection.request("GET", "/api/studies/s/events")
                stream = connection.getresponse()
                stream.readline(), stream.readline(), stream.readline()
                time.sleep(REST * first)  # what it rests after the first
                took = []
                for more in range(1, REFRESHES + 1):
                    study.add_trial(next(iter(sample.trials(1, seed=1 + more))))
                    start = time.perf_counter()
                    while f"{trials + more:,} trials" not in ask(address, "/studies/s").decode():
                        while not stream.readline().startswith(b"data:"):
                            pass
                    took.append(time.perf_counter() - start)
                    time.sleep(REST * took[-1])
    return {"first_100k_s": first, "refresh_100k_s": statistics.median(took)}


if __name__ == "__main__":
    main()
