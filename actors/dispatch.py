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
from concurrent.futures import ThreadPoolExecutor
from queue import Empty
from typing import Any, Final

from dramatiq import Broker, Worker
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Middleware, SkipMessage
from dramatiq.worker import WorkerThread
from redis.exceptions import RedisError

from actors.loop import LoopThread
from service.logs import get_logger

#: At shutdown: for tasks to end by themselves, then for canceled ones to hand back their work.
FINISH_SECONDS: Final = 14.0
HAND_BACK_SECONDS: Final = 4.0

_ACK_THREADS: Final = 2

_log = get_logger(__name__)


class CoroutineDispatch(Middleware):
    """Makes a Dramatiq worker run its messages on the loop.

    Must stand first: what else opens resources on the loop comes after it.

    Parameters:
      loop: The process' loop; started at boot, stopped when the worker has shut down.
      concurrency: The most messages in flight per queue.
    """

    def __init__(self, loop: LoopThread, concurrency: int) -> None:
        self._loop = loop
        self._concurrency = concurrency

    def before_worker_boot(self, _broker: Broker, worker: Worker) -> None:
        """Start the loop; ask for no threads and for enough messages."""
        self._loop.start()
        worker.worker_threads = 0
        worker.queue_prefetch = self._concurrency
        # We delay nothing on the broker: what is due later is in the ledger.
        worker.delay_prefetch = 1

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        """Put the one thread that starts tasks where the worker's threads would be."""
        dispatcher = Dispatcher(
            self._loop,
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
      options: What a WorkerThread takes.
    """

    def __init__(self, loop: LoopThread, **options: Any) -> None:
        super().__init__(**options)
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()
        # An acknowledgement blocks for as long as Redis is away: never on the loop.
        self._acks = ThreadPoolExecutor(_ACK_THREADS, thread_name_prefix="ack")

    def run(self) -> None:
        """Start tasks until told to stop, then see the started ones through."""
        self.running = True
        self.broker.emit_after("worker_thread_boot", self)
        while self.running:
            try:
                item = self.work_queue.get(timeout=self.timeout)
            except Empty:
                continue
            self._loop.loop.call_soon_threadsafe(self._begin, item.message)
        self._loop.call(self._drain())
        self._acks.shutdown()
        self.broker.emit_before("worker_thread_shutdown", self)

    def _begin(self, message: MessageProxy) -> None:
        task = asyncio.create_task(self._process(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _process(self, message: MessageProxy) -> None:
        try:
            await self._act(message)
        finally:
            await asyncio.shield(self._acknowledge(message))

    async def _act(self, message: MessageProxy) -> None:
        try:
            self.broker.emit_before("process_message", message)
            actor = self.broker.get_actor(message.actor_name)
            await inspect.unwrap(actor.fn)(*message.args, **message.kwargs)
        except SkipMessage:
            self.broker.emit_after("skip_message", message)
        except asyncio.CancelledError as canceled:
            self.broker.emit_after("process_message", message, exception=canceled)
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

    async def _acknowledge(self, message: MessageProxy) -> None:
        consumer = self.consumers[message.queue_name]
        await asyncio.get_running_loop().run_in_executor(
            self._acks, consumer.post_process_message, message
        )
        self.work_queue.task_done()

    async def _drain(self) -> None:
        # Tasks that are about to begin were scheduled before this.
        await asyncio.sleep(0)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=FINISH_SECONDS)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=HAND_BACK_SECONDS)
