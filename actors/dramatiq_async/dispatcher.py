"""Messages as coroutines: a thousand waiting calls are a thousand tasks and no threads.

Dramatiq's worker gives every message a thread. Here one thread empties its work queue, starts a
task per message on the process' event loop, and acknowledges the message when the task has ended.

Every message is acknowledged however its task ends: the ledger holds the truth, and sends another
wake-up for whatever is not done. Dramatiq's own retries and dead letters are not used; where
somebody adds its Retries, a message that has failed for good is dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from queue import Empty
from typing import Any, Final

from dramatiq import Broker, Worker
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Middleware, MiddlewareError, ShutdownNotifications, TimeLimit
from dramatiq.worker import WorkerThread

from actors.dramatiq_async.ack_batcher import AckBatcher
from actors.dramatiq_async.event_loop import LoopThread
from actors.dramatiq_async.message_processor import MessageProcessor
from actors.dramatiq_async.shutdown import ShutdownMiddleware
from service.process.file_limits import raise_file_limit

#: At shutdown: for canceled tasks to hand back their work, then for the last acknowledgements.
HAND_BACK_SECONDS: Final = 4.0
ACK_SECONDS: Final = 1.0


class AsyncDispatchMiddleware(Middleware):
    """Makes a Dramatiq worker run its messages on the event loop.

    Must be the first middleware but for the shutdown's: others open resources on the loop.

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

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        """Start the loop; configure no threads, and enough messages and open files.

        Raises:
          MiddlewareError: There is middleware that would interrupt the loop's thread.
        """
        _check_middleware(broker)
        raise_file_limit()
        self._loop.start()
        worker.worker_threads = 0
        worker.queue_prefetch = self._concurrency

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        """Add the dispatcher in place of the worker's threads."""
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


def _check_middleware(broker: Broker) -> None:
    for middleware in broker.middleware:
        if isinstance(middleware, TimeLimit | ShutdownNotifications):
            raise MiddlewareError(
                f"{type(middleware).__name__} interrupts threads, and actors are coroutines here: "
                "remove it. The option time_limit works, and actors are canceled at shutdown."
            )


class Dispatcher(WorkerThread):
    """Takes messages off the work queue and runs each as a task.

    Parameters:
      loop: Runs the tasks.
      stop: Knows when the process was told to stop.
      stop_seconds: How long after that tasks may end by themselves.
      options: Options of WorkerThread.
    """

    def __init__(
        self, loop: LoopThread, stop: ShutdownMiddleware, stop_seconds: float, **options: Any
    ) -> None:
        super().__init__(**options)
        self._loop = loop
        self._stop_signal = stop
        self._stop_seconds = stop_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        #: By queue, the items without a task yet; used on the loop only.
        self._waiting: defaultdict[str, deque[Any]] = defaultdict(deque)
        self._starting = False
        self._processor = MessageProcessor(self.broker)
        self._acks = AckBatcher(self.broker, self.consumers)

    def run(self) -> None:
        """Start tasks until told to stop, then let the started ones end."""
        self.running = True
        self._acks.start()
        self.broker.emit_after("worker_thread_boot", self)
        while self.running:
            if self.paused:
                self._rest()
                continue
            try:
                item = self.work_queue.get(timeout=self.timeout)
            except Empty:
                continue
            self._loop.loop.call_soon_threadsafe(self._enqueue, item)
        self._loop.call(self._drain())
        self._acks.close(ACK_SECONDS)
        self.broker.emit_before("worker_thread_shutdown", self)

    def _rest(self) -> None:
        """Start nothing for a moment; `Worker.pause` returns when nothing is in progress."""
        if self._loop.call(self._is_idle()):
            self.paused_event.set()
        time.sleep(self.timeout)

    async def _is_idle(self) -> bool:
        self._return_unstarted()
        return not self._tasks

    def _enqueue(self, item: Any) -> None:
        self._waiting[item.message.queue_name].append(item)
        if not self._starting:
            self._starting = True
            self._loop.loop.call_soon(self._start_round)

    def _start_round(self) -> None:
        """Start one message of each queue; the next ones in the next iteration of the loop.

        An iteration takes as long as everything that is ready in it. If a flood of messages started
        at once, all other tasks would wait for all of it at each of their steps.
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
            await self._processor.process(message)
        finally:
            self._acks.add(message)
            self.work_queue.task_done()

    async def _drain(self) -> None:
        # Runs what `run` has scheduled on the loop before this.
        await asyncio.sleep(0)
        self._return_unstarted()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._seconds_left())
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=HAND_BACK_SECONDS)

    def _return_unstarted(self) -> None:
        """Put the items without a task back on the work queue, for after the pause or the stop."""
        for items in self._waiting.values():
            while items:
                self.work_queue.put(items.popleft())
                self.work_queue.task_done()

    def _seconds_left(self) -> float:
        return max(0, self._stop_seconds - self._stop_signal.seconds_since_request())
