"""Messages as coroutines: a thousand waiting calls are a thousand tasks and no threads.

Dramatiq's worker gives every message a thread. Here its work queue is emptied by one thread that
starts a task per message on the process' loop and acknowledges it when the task has ended; the
rest of Dramatiq (consumers, heartbeats, the command line) is the stock one. Written against the
`Worker` and `WorkerThread` of dramatiq 2.2.

Every message is acknowledged however its task ends: the ledger holds the truth, and what is not
done is rung for again. Dramatiq's own retries and dead letters have no part in it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import defaultdict, deque
from queue import Empty
from typing import Any, Final

from dramatiq import Actor, Broker, Worker
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Middleware, SkipMessage
from dramatiq.worker import WorkerThread
from redis.exceptions import RedisError

from actors.dramatiq_async.ack_batcher import AckBatcher
from actors.dramatiq_async.event_loop import LoopThread
from actors.dramatiq_async.shutdown import ShutdownMiddleware
from actors.dramatiq_async.time_limit import OverdueError, time_limit_seconds
from service.logging.setup import get_logger
from service.process.file_limits import raise_file_limit

#: At shutdown: for canceled tasks to hand back their work, then for what is not acknowledged.
HAND_BACK_SECONDS: Final = 4.0
ACK_SECONDS: Final = 1.0


_log = get_logger(__name__)


class AsyncDispatchMiddleware(Middleware):
    """Makes a Dramatiq worker run its messages on the loop.

    Must stand first: what else opens resources on the loop comes after it.

    Parameters:
      loop: The process' loop; started at boot, stopped when the worker has shut down.
      concurrency: The most messages in flight per queue.
      stop: Knows when the process was told to stop.
      stop_seconds: How long after that tasks may end by themselves.
    """

    def __init__(
        self, loop: LoopThread, concurrency: int, stop: ShutdownMiddleware, stop_seconds: float
    ) -> None:
        self._loop = loop
        self._concurrency = concurrency
        self._stop = stop
        self._stop_seconds = stop_seconds

    def before_worker_boot(self, _broker: Broker, worker: Worker) -> None:
        """Start the loop; ask for no threads, and for enough messages and files."""
        raise_file_limit()
        self._loop.start()
        worker.worker_threads = 0
        worker.queue_prefetch = self._concurrency
        # We delay nothing on the broker: what is due later is in the ledger.
        worker.delay_prefetch = 1

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        """Put the one thread that starts tasks where the worker's threads would be."""
        dispatcher = Dispatcher(
            self._loop,
            self._stop,
            self._stop_seconds,
            broker=broker,
            consumers=worker.consumers,
            work_queue=worker.work_queue,
            worker_timeout=worker.worker_timeout,
        )
        dispatcher.start()
        worker.workers.append(dispatcher)

    def after_worker_shutdown(self, _broker: Broker, _worker: Worker) -> None:
        """Stop the loop."""
        self._loop.stop()


class Dispatcher(WorkerThread):
    """Takes messages off the work queue and runs each as a task.

    Parameters:
      loop: Where the tasks run.
      stop: Knows when the process was told to stop.
      stop_seconds: How long after that tasks may end by themselves.
      options: What a WorkerThread takes.
    """

    def __init__(
        self, loop: LoopThread, stop: ShutdownMiddleware, stop_seconds: float, **options: Any
    ) -> None:
        super().__init__(**options)
        self._loop = loop
        self._stop_signal = stop
        self._stop_seconds = stop_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        #: By queue, what has not begun yet; the loop's alone.
        self._waiting: defaultdict[str, deque[Any]] = defaultdict(deque)
        self._starting = False
        self._acks = AckBatcher(self.broker, self.consumers)

    def run(self) -> None:
        """Start tasks until told to stop, then see the started ones through."""
        self.running = True
        self._acks.start()
        self.broker.emit_after("worker_thread_boot", self)
        while self.running:
            try:
                item = self.work_queue.get(timeout=self.timeout)
            except Empty:
                continue
            self._loop.loop.call_soon_threadsafe(self._enqueue, item)
        self._loop.call(self._drain())
        self._acks.close(ACK_SECONDS)
        self.broker.emit_before("worker_thread_shutdown", self)

    def _enqueue(self, item: Any) -> None:
        self._waiting[item.message.queue_name].append(item)
        if not self._starting:
            self._starting = True
            self._loop.loop.call_soon(self._start_round)

    def _start_round(self) -> None:
        """Begin one message of each queue; the next ones in the next turn of the loop.

        A turn takes as long as what is ready in it. If a flood began at once, whatever else goes on
        would wait for all of it at each of its steps.
        """
        for items in self._waiting.values():
            if items:
                self._start(items.popleft().message)
        self._starting = any(self._waiting.values())
        if self._starting:
            self._loop.loop.call_soon(self._start_round)

    def _start(self, message: MessageProxy) -> None:
        task = asyncio.create_task(self._process(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _process(self, message: MessageProxy) -> None:
        try:
            await self._run_actor(message)
        finally:
            self._acks.add(message)
            self.work_queue.task_done()

    async def _run_actor(self, message: MessageProxy) -> None:
        try:
            self.broker.emit_before("process_message", message)
            actor = self.broker.get_actor(message.actor_name)
            await self._run_within_limit(actor, message)
        except SkipMessage:
            self.broker.emit_after("skip_message", message)
        except asyncio.CancelledError as canceled:
            self.broker.emit_after("process_message", message, exception=canceled)
        except OverdueError as error:
            self.broker.emit_after("process_message", message, exception=error)
        except RedisError as error:
            _log.warning(
                "redis does not answer; the work goes on later", cause=type(error).__name__
            )
            self.broker.emit_after("process_message", message, exception=error)
        except Exception as error:  # noqa: BLE001 - a task must not end the dispatcher
            _log.error("an actor failed; its work is rung for again", exc_info=error)
            self.broker.emit_after("process_message", message, exception=error)
        else:
            self.broker.emit_after("process_message", message, result=None)

    async def _run_within_limit(self, actor: Actor[..., Any], message: MessageProxy) -> None:
        """Run an actor; what takes too long is canceled, and hands its work back like any other."""
        seconds = time_limit_seconds(actor)
        try:
            async with asyncio.timeout(seconds) as limit:
                await inspect.unwrap(actor.fn)(*message.args, **message.kwargs)
        except TimeoutError:
            if not limit.expired():
                raise
            told = {"actor": message.actor_name, "args": message.args, "seconds": seconds}
            _log.error("an actor took too long and was canceled", **told)
            raise OverdueError from None

    async def _drain(self) -> None:
        # What is about to arrive was scheduled before this.
        await asyncio.sleep(0)
        self._return_unstarted()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._seconds_left())
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=HAND_BACK_SECONDS)

    def _return_unstarted(self) -> None:
        """Leave what has not begun to the worker, which hands it back."""
        for items in self._waiting.values():
            while items:
                self.work_queue.put(items.popleft())
                self.work_queue.task_done()

    def _seconds_left(self) -> float:
        return max(0, self._stop_seconds - self._stop_signal.seconds_since_request())
