"""`RateLimit` and `RateLimit-Policy`, as draft-ietf-httpapi-ratelimit-headers-10 has them."""

from __future__ import annotations


def rate_limit_headers(
    policy: str, retry_after: int, *, quota: int | None = None, window: int | None = None
) -> dict[str, str]:
    """Return the headers of a 429: nothing remains, until when.

    Parameters:
      policy: Name of the limit.
      retry_after: Seconds until something remains.
      quota: Requests of a window, if it is fixed.
      window: Its length in seconds.
    """
    headers = {"Retry-After": str(retry_after), "RateLimit": f'"{policy}";r=0;t={retry_after}'}
    if quota is not None:
        headers["RateLimit-Policy"] = f'"{policy}";q={quota};w={window}'
    return headers
