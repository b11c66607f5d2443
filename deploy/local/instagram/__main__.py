"""`python -m deploy.local.instagram --directory DIR`."""

from __future__ import annotations

import argparse
from pathlib import Path

from deploy.local.instagram.server import Settings, run
from deploy.local.instagram.state import Options


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.instagram", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="where ca.pem is written")
    parser.add_argument("--proxy-port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--proxy-credentials", help="user:password that the proxy requires")
    parser.add_argument(
        "--open-world", action="store_true", help="every username exists, except missing*"
    )
    parser.add_argument(
        "--dedupe", action="store_true", help="a repeated client_context is stored once"
    )
    parser.add_argument("--end-with-parent", action="store_true", help="stop when stdin ends")
    arguments = parser.parse_args()
    run(
        Settings(
            directory=arguments.directory,
            options=Options(open_world=arguments.open_world, dedupe=arguments.dedupe),
            proxy_port=arguments.proxy_port,
            control_port=arguments.control_port,
            proxy_credentials=arguments.proxy_credentials,
            end_with_parent=arguments.end_with_parent,
        )
    )


if __name__ == "__main__":
    main()
