"""Processes one message: its actor as a coroutine, and what middleware is told about it.

The order of signals is that of Dramatiq's own worker, so that its Results, Pipelines, Callbacks,
Retries and the like work where somebody adds them.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, Final

from dramatiq import Actor, Broker
from dramatiq.broker import MessageProxy
from dramatiq.errors import RateLimitExceeded, Retry
from dramatiq.middleware import CurrentMessage, Middleware, SkipMessage, TimeLimitExceeded
from dramatiq.results import Results
from redis.exceptions import RedisError

from actors.dramatiq_async.time_limit import time_limit_seconds
from service.logging.setup import get_logger

#: What an actor may end with; Dramatiq derives TimeLimitExceeded from BaseException.
_FAILURES: Final = (Exception, asyncio.CancelledError, TimeLimitExceeded)
#: Failures that need no line of their own: logged already, or an actor's way to ask for a retry.
_UNLOGGED: Final = (asyncio.CancelledError, TimeLimitExceeded, RateLimitExceeded, Retry)

_log = get_logger(__name__)


class MessageProcessor:
    """Runs actors on the event loop and signals the middleware.

    Parameters:
      broker: Knows the actors and the middleware.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def process(self, message: MessageProxy) -> None:
        """Run the message's actor; whatever it raises is signalled and logged, not raised."""
        try:
            self._broker.emit_before("process_message", message)
            result = None if message.failed else await self._run_actor(message)
        except SkipMessage as error:
            message.stuff_exception(error)
            await self._emit_after("skip_message", message)
        except _FAILURES as error:
            message.stuff_exception(error)
            self._log_failure(message, error)
            await self._emit_after("process_message", message, exception=error)
        else:
            await self._emit_after("process_message", message, result=result)

    async def _run_actor(self, message: MessageProxy) -> Any:
        actor = self._broker.get_actor(message.actor_name)
        result = await _run_within_limit(actor, message)
        if result is not None and not self._is_used(message):
            _log.warning(
                "return value discarded. Consider adding the Results middleware",
                actor=message.actor_name,
            )
        return result

    def _is_used(self, message: MessageProxy) -> bool:
        """Whether anything receives what the message's actor returns."""
        is_piped = message.options.get("pipe_target") is not None
        return is_piped or any(isinstance(each, Results) for each in self._broker.middleware)

    async def _emit_after(self, signal: str, message: MessageProxy, **outcome: Any) -> None:
        """Signal an end; on another thread if that may wait for Redis, as in Dramatiq's own."""
        if any(map(_may_block, self._broker.middleware)):
            await asyncio.to_thread(_emit_after, self._broker, signal, message, outcome)
        else:
            self._broker.emit_after(signal, message, **outcome)

    def _log_failure(self, message: MessageProxy, error: BaseException) -> None:
        if isinstance(error, _UNLOGGED):
            return
        if isinstance(error, RedisError):
            _log.warning("redis error; job will be retried", error=type(error).__name__)
        elif isinstance(error, self._expected(message)):
            _log.info("actor failed as expected", error=type(error).__name__)
        else:
            _log.error("actor failed; job will be retried", exc_info=error)

    def _expected(self, message: MessageProxy) -> Any:
        """The exceptions that Retries' option `throws` declares, if somebody has added Retries."""
        actor = self._broker.actors.get(message.actor_name)
        return message.options.get("throws") or (actor and actor.options.get("throws")) or ()


def _emit_after(
    broker: Broker, signal: str, message: MessageProxy, outcome: dict[str, Any]
) -> None:
    """Signal an end; a failure from its handler, since Retries keeps what is being handled.

    Parameters:
      broker: Its middleware is signalled.
      signal: The end, without `after_`.
      message: What has ended.
      outcome: The signal's other arguments; emptied of an exception, whose traceback refers to
        this frame and its callers.
    """
    exception = outcome.pop("exception", None)
    if exception is None:
        broker.emit_after(signal, message, **outcome)
        return
    try:
        raise exception
    except type(exception):
        broker.emit_after(signal, message, exception=exception)
    finally:
        del exception


async def _run_within_limit(actor: Actor[..., Any], message: MessageProxy) -> Any:
    """Run an actor; one that is overdue is canceled, and hands its work back as any other."""
    seconds = time_limit_seconds(actor, message)
    try:
        async with asyncio.timeout(seconds) as limit:
            return await inspect.unwrap(actor.fn)(*message.args, **message.kwargs)
    except TimeoutError:
        if not limit.expired():
            raise
        _log.error(
            "actor timed out and was canceled",
            actor=message.actor_name,
            args=message.args,
            timeout_seconds=seconds,
        )
        raise TimeLimitExceeded from None


def _may_block(middleware: Middleware) -> bool:
    """Whether a middleware does something of its own when a message has been processed."""
    kind = type(middleware)
    return kind is not CurrentMessage and (
        kind.after_process_message is not Middleware.after_process_message
        or kind.after_skip_message is not Middleware.after_skip_message
    )
