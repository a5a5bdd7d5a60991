"""One web process: uvicorn on the listening socket it inherits from the launcher."""

import argparse
import os
import socket

import uvicorn

GRACE = 5  # s for open requests when the process is asked to stop
BIGGEST_FRAME = 64 * 1024  # bytes; sockets listen, HTTP speaks, so nothing large comes up a socket


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--trusted-proxies", default="")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
    config = uvicorn.Config(
        "crm.asgi:application",
        log_config=None,  # the settings say how lines look
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE,
        ws_max_size=BIGGEST_FRAME,
        proxy_headers=bool(options.trusted_proxies),
        forwarded_allow_ips=options.trusted_proxies,
    )
    # Not uvicorn's own --fd: it takes every descriptor for a unix socket, and so loses the caller's
    # address and TCP_NODELAY.
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=options.fd)])


if __name__ == "__main__":
    main()
