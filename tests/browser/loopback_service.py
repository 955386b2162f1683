"""`evibridge` with no other address than 127.0.0.1: calls never leave this machine."""

from aioice import ice

from evibridge.cli import main


def _loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: ARG001 - theirs
    return ["127.0.0.1"]


ice.get_host_addresses = _loopback

if __name__ == "__main__":
    main()
