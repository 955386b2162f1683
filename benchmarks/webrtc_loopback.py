"""Runs a module whose peers have the address of loopback and no other: nothing leaves the machine.

    python -m benchmarks.webrtc_loopback evibridge run AGENT --port 8080

aiortc leaves loopback out of the addresses that it offers.
"""

import runpy
import sys
from collections.abc import Sequence

LOOPBACK = "127.0.0.1"


def offer_loopback_only() -> None:
    """Let every peer of this process be found at loopback."""
    import aioice.ice

    aioice.ice.get_host_addresses = _loopback


def _loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: FBT001 - aioice's own signature
    del use_ipv4, use_ipv6
    return [LOOPBACK]


def main(arguments: Sequence[str]) -> None:
    offer_loopback_only()
    sys.argv = list(arguments)
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
