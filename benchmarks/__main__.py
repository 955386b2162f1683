"""All benchmarks with short defaults, in under three minutes: `make bench`.

Each can be run by itself, longer and in more rounds; docs/benchmarks.md tells how.
"""

import asyncio
import shutil

from benchmarks import call_figures, calls_per_core, hot_path, response_time
from benchmarks.report import headline

CALLS = (10, 50)
ROUNDS = 8
SECONDS_PER_STEP = 0.2


def main() -> None:
    print(f"# Benchmarks\n\n{headline()}\n", flush=True)

    print("## Calls per core\n", flush=True)
    results = asyncio.run(calls_per_core.measure(CALLS, rounds=ROUNDS))
    print(f"{call_figures.shown(results)}\n", flush=True)

    print("## Hot path\n", flush=True)
    path = hot_path.measure(seconds_per_step=SECONDS_PER_STEP)
    print(f"{hot_path.shown(path)}\n", flush=True)

    print("## Response time of the engine\n", flush=True)
    if shutil.which("espeak-ng") is None:
        print("Not measured: the callers' voice is missing. Install espeak-ng and run again.")
    else:
        print(response_time.shown(asyncio.run(response_time.measure())))


if __name__ == "__main__":
    main()
