-- Operations: one action on many jobs or events, planned, confirmed, then done some at a time. The
-- items are decided by the plan: what is created later is not touched. A worker does the steps, and
-- each step records what it did, so that whoever goes on after it does the next (run_operation in
-- actors/operations.py).
--   hg:op:{id}          hash: v, seq; action (cancel | retry | replay); filter (JSON, without names
--                       of persons); request (a keyed hash of what was asked for); caller (name of
--                       the API key), by, address, reason; status (planned | running | completed |
--                       canceled); created, started, finished (unix ms); total (items); rule (the
--                       only one to run, '' for all); rules (digest of the rules it was planned
--                       with); problems (places of the first items that failed); n:{outcome} (how
--                       many items ended so); partial (jobs of an event that is not done yet);
--                       blocked (why no worker goes on, '' for none)
--   hg:opitems:{id}     list: job ids, or source:id of events
--   hg:opresults:{id}   list: for each item that is done its outcome, and the ids of its jobs after
--                       it, with spaces between
--   hg:ops              zset seq -> id of every operation that was begun
--   hg:unfinished_ops   zset ms -> id: when a running one went on last
-- All but the indexes expire by themselves: a plan after some minutes, the rest as jobs do.
--- @include "config"
--- @include "clock"
--- @include "batch"
--- @include "records"
--- @include "notify"

local operations = {}
do
  local INDEX, UNFINISHED = 'hg:ops', 'hg:unfinished_ops'
  -- Problems whose places are remembered.
  local MAX_PROBLEMS = 10
  -- Entries of the index that are dropped when another is added.
  local DROPPED_AT_ONCE = 10

  function operations.key(id) return 'hg:op:' .. id end

  function operations.items_key(id) return 'hg:opitems:' .. id end

  function operations.results_key(id) return 'hg:opresults:' .. id end

  function operations.load(id)
    local operation = load_hash(operations.key(id))
    if operation then operation.id = id end
    return operation
  end

  -- One that runs and that this release may go on with; nil otherwise.
  function operations.load_running(id)
    local operation = operations.load(id)
    if not operation or operation.status ~= 'running' or is_newer(operation) then return nil end
    return operation
  end

  function operations.expire_in(id, ms)
    for _, key in ipairs({operations.key(id), operations.items_key(id),
      operations.results_key(id)}) do redis.call('PEXPIRE', key, digits(ms)) end
  end

  -- Entries of records that have expired, the oldest first.
  local function drop_expired()
    for _, id in ipairs(redis.call('ZRANGE', INDEX, 0, DROPPED_AT_ONCE - 1)) do
      if redis.call('EXISTS', operations.key(id)) == 1 then return end
      redis.call('ZREM', INDEX, id)
    end
  end

  local function wake_worker(id, now)
    redis.call('ZADD', UNFINISHED, digits(now), id)
    send_message(CONF.operation_actor, id, now)
  end

  function operations.start(id, now)
    drop_expired()
    for _, key in ipairs({operations.key(id), operations.items_key(id)}) do
      redis.call('PERSIST', key)
    end
    local seq = next_seq()
    redis.call('HSET', operations.key(id), 'status', 'running', 'seq', digits(seq), 'started',
      now_digits(now))
    redis.call('ZADD', INDEX, seq, id)
    wake_worker(id, now)
  end

  -- Ends one; what it did stays to be read for as long as an ended job's record.
  function operations.finish(id, status, now)
    redis.call('HSET', operations.key(id), 'status', status, 'finished', now_digits(now))
    redis.call('HDEL', operations.key(id), 'partial', 'blocked')
    redis.call('ZREM', UNFINISHED, id)
    operations.expire_in(id, CONF.keep)
  end

  -- How many items are done.
  function operations.count_done(operation)
    return redis.call('LLEN', operations.results_key(operation.id))
  end

  -- Remembers that an operation goes on, so that no other worker is woken meanwhile.
  function operations.touch(operation, now)
    redis.call('ZADD', UNFINISHED, digits(now), operation.id)
    if operation.blocked then redis.call('HDEL', operations.key(operation.id), 'blocked') end
  end

  -- Records what became of the next items, in their order: {outcome, is_problem, job ids} each.
  function operations.record(operation, results)
    local done, lines = operations.count_done(operation), {}
    local problems, counts = operation.problems or '', {}
    local _, known = string.gsub(problems, '%S+', '')
    for i, result in ipairs(results) do
      local outcome, is_problem, jobs = unpack(result)
      lines[i] = table.concat({outcome, unpack(jobs or {})}, ' ')
      counts[outcome] = (counts[outcome] or 0) + 1
      if is_problem and known < MAX_PROBLEMS then
        problems, known = problems .. ' ' .. digits(done + i - 1), known + 1
      end
    end
    for outcome, times in pairs(counts) do
      redis.call('HINCRBY', operations.key(operation.id), 'n:' .. outcome, times)
    end
    redis.call('HSET', operations.key(operation.id), 'problems', problems)
    redis.call('RPUSH', operations.results_key(operation.id), unpack(lines))
  end

  -- Ends an operation whose items are all done; returns how many are left.
  function operations.finish_if_done(operation, now)
    local left = tonumber(operation.total) - operations.count_done(operation)
    if left <= 0 then operations.finish(operation.id, 'completed', now) end
    return math.max(left, 0)
  end

  -- Wakes another worker for the operation that has not gone on for longest, if that is a lease.
  function operations.wake_abandoned(now)
    local id, since = unpack(redis.call('ZRANGE', UNFINISHED, 0, 0, 'WITHSCORES'))
    if id and (tonumber(since) <= now - CONF.lease or tonumber(since) > now) then
      wake_worker(id, now)
    end
  end
end
