"""TLS settings for customers' servers, and the names of what can go wrong with a connection."""

from __future__ import annotations

import ssl
from typing import Final

import httpcore

from actors.egress.guarded_connections import EgressError

#: Every error that a peer can cause on a connection.
PEER_ERRORS: Final = (
    OSError,
    TimeoutError,
    ssl.SSLError,  # httpcore does not map those of a read: a rejected client certificate
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.RemoteProtocolError,
)


def ssl_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Make the context that verifies a customer's server.

    Parameters:
      ca_bundle: Path of a PEM file to trust instead of the system's CAs.

    Raises:
      ValueError: The file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except OSError:
        raise ValueError(
            f"the CA bundle {ca_bundle!r} for callbacks is no readable PEM file of certificates"
        ) from None


def failure_code(error: BaseException) -> str:
    """Map an error of an exchange to its code in `service.deliveries.attempt_results`.

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
    # httpcore wraps the parser's exceptions; its own message (text) means that the peer left.
    return isinstance(error.args[0], str)
