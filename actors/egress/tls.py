"""What a customer's server has to prove, and what it may do to an exchange instead of answering."""

from __future__ import annotations

import ssl
from typing import Final

import httpcore

from actors.egress.guarded_connections import EgressError

#: Everything that a peer can do to a connection.
PEER_ERRORS: Final = (
    OSError,
    TimeoutError,
    ssl.SSLError,  # httpcore does not map those of a read: a refused client certificate
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.RemoteProtocolError,
)


def ssl_context(ca_bundle: str | None) -> ssl.SSLContext:
    """What a customer's server has to prove.

    Parameters:
      ca_bundle: Path of a PEM file to trust instead of the system's CAs.

    Raises:
      ValueError: It cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except OSError:
        raise ValueError(
            f"the CA bundle {ca_bundle!r} for callbacks is no readable PEM file of certificates"
        ) from None


def failure_code(error: BaseException) -> str:
    """Name what a peer, or the way to it, did to an exchange.

    Parameters:
      error: One of PEER_ERRORS.
    """
    if isinstance(error, EgressError):
        return error.code
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        return "timeout"
    if isinstance(error, ssl.SSLError):
        return "tls_failed"
    if isinstance(error, httpcore.RemoteProtocolError) and not _closed_by_peer(error):
        return "protocol_error"
    return "connection_reset"


def _closed_by_peer(error: httpcore.RemoteProtocolError) -> bool:
    # httpcore wraps what the parser complains of; where it speaks itself, the peer just left.
    return isinstance(error.args[0], str)
