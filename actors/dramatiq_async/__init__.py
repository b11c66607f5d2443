"""Runs actors as coroutines under the stock `dramatiq` command line.

Dramatiq gives every message a thread and polls Redis once per queue and second. Here a message is
a task on one event loop, consumers are notified, and acknowledgements go in batches; workers,
heartbeats, queues and the command line stay Dramatiq's own. Middleware is told the same: Results,
Pipelines, Callbacks, GroupCallbacks, Retries and AgeLimit work where somebody adds them. TimeLimit
and ShutdownNotifications interrupt threads and are refused; TimeLimits takes the first one's place.
`tests/dramatiq_suite/` runs Dramatiq's own tests on this package, and lists what differs.

The parts of Dramatiq that this package replaces or relies on without their being public API, as
they are in dramatiq 2.2.1 (pyproject.toml pins `<2.3`: read this list against a new minor release):

- `dramatiq.worker.Worker`: `worker_threads` and `queue_prefetch` are set before boot; `consumers`,
  `work_queue` and `worker_timeout` are read; one thread is appended to `workers` (`dispatcher.py`).
- `dramatiq.worker.WorkerThread`: subclassed, `run` replaced; `running`, `paused`, `paused_event`,
  `timeout`, `work_queue`, `broker` and `consumers` are used, and the `.message` of the work queue's
  items (`dispatcher.py`). At shutdown the worker requeues what is left on the work queue.
- `dramatiq.worker.WorkerThread.process_message`, whose signals `message_processor.py` repeats.
- `dramatiq.worker.ConsumerThread.consumer`, which acknowledges in batches (`ack_batcher.py`), and
  `paused` (`broker.py`). It drops the delayed messages that it holds when it makes a new consumer
  after an error, and moves those that are due to their queue (`consumer.py`).
- `dramatiq.brokers.redis._RedisConsumer`: subclassed, all its methods but `close` replaced or
  extended; `message_cache`, `misses`, `prefetch` and `timeout` are used (`consumer.py`).
- `dramatiq.brokers.redis.RedisBroker`: `consumer_class` overridden, `consume`, `enqueue` and
  `close` extended; `do_fetch`, `do_requeue`, `broker_id`, `namespace`, `heartbeat_timeout` and
  `scripts`' key layout are used (`broker.py`, `consumer.py`); `maintenance_chance=0` turns its own
  maintenance off, which `orphan_recovery.py` replaces.
- The key layout of `dramatiq/brokers/redis/dispatch.lua`, where NS is the namespace: `NS:QUEUE` (a
  list of message ids), `NS:QUEUE.msgs` (a hash of messages by id), `NS:__acks__.BROKER.QUEUE` (the
  set of ids fetched and not acknowledged), `NS:__heartbeats__` (a sorted set of brokers by time in
  ms), and the suffix `.DQ` of delay queues. Messages that the ledger's scripts enqueue have the
  same form.
- `Actor.fn` wraps a coroutine function with `functools.wraps`: `inspect.unwrap` finds it
  (`message_processor.py`).
- The handlers of SIGTERM and SIGHUP that `dramatiq.cli` installs in a worker before it imports the
  broker (`shutdown.py`).
"""
