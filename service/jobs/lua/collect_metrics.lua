#!lua flags=no-writes
-- Gathers the numbers of GET /metrics: how much there is of everything, and what was counted.
-- ARGV   queues (Dramatiq's, between spaces), then the accounts
-- Reply  JSON: {now, paused, counters {name: count}, jobs {status: n}, kinds {kind: n},
--        deliveries {status: n}, queues {queue: {depth, oldest (ms)}}, lags {index: ms},
--        processes {process: {tier, peak_us, listeners}}, accounts {account: {fields,
--        sub_queues {sub-queue: {n, why}}, held {kind: {n, why}},
--        budgets {limit: {hour {used, limit}, day {used, limit}}}}}}
-- Keeps  reads only; its cost grows with the accounts and not with the jobs.
--- @include "account_queue"
local queues = ARGV[1]
local FIRST_ACCOUNT = 2
local now = now_ms()

-- `names` is a set; deliveries are no kind of job.
local function sizes(prefix, names)
  local found = {}
  for name in pairs(names) do
    if name ~= 'delivery' then found[name] = redis.call('ZCARD', prefix .. name) end
  end
  return found
end

-- How long the first message has waited; what is no message of Dramatiq's has no age.
local function age_of_first(queue)
  local first = redis.call('LINDEX', queue, 0)
  local data = first and redis.call('HGET', queue .. '.msgs', first)
  local sound, message = pcall(cjson.decode, data or '')
  local sent = sound and type(message) == 'table' and tonumber(message.message_timestamp)
  return sent and math.max(0, now - sent) or 0
end

local function queue_depths()
  local found = {}
  for name in string.gmatch(queues, '%S+') do
    local queue = CONF.namespace .. ':' .. name
    found[name] = {depth = redis.call('LLEN', queue), oldest = age_of_first(queue)}
  end
  return found
end

-- For how long the first entry of each index has been overdue.
local function lags()
  local found = {}
  for _, index in ipairs({'due', 'wakes', 'leases', 'expiry', 'turns', 'alarms'}) do
    local first = redis.call('ZRANGE', 'hg:' .. index, 0, 0, 'WITHSCORES')[2]
    found[index] = math.max(0, now - tonumber(first or now))
  end
  return found
end

-- A process that is gone for longer than its report is valid has no hash.
local function processes()
  local found = {}
  for _, process in ipairs(redis.call('ZRANGE', 'hg:processes', 0, -1)) do
    found[process] = load_hash('hg:metrics:' .. process)
  end
  return found
end

local function budgets(account)
  local found = {}
  for limit in pairs(config_of(account).limits) do
    local per_hour, per_day = budgets_of(account, limit, now)
    local key = spent_key(account, limit)
    found[limit] = {hour = {used = spent_in(key, HOUR, now), limit = per_hour},
      day = {used = spent_in(key, DAY, now), limit = per_day}}
  end
  return found
end

local function sub_queues(account, state)
  local found = {}
  for _, sub_queue in ipairs(redis.call('SMEMBERS', 'hg:acct:' .. account .. ':lanes')) do
    local n = redis.call('ZCARD', queue_key(account, sub_queue))
    if n > 0 then
      found[sub_queue] = {n = n, why = blocked_by(account, state, sub_queue, now) or 'turn'}
    end
  end
  return found
end

local function held(account, state)
  local found = {}
  for kind in pairs(CONF.actors) do
    local n = redis.call('ZCARD', 'hg:acct:' .. account .. ':held:' .. kind)
    if n > 0 then found[kind] = {n = n, why = paused_by(state, kind) or 'resuming'} end
  end
  return found
end

local function accounts()
  local found = {}
  for _, account in ipairs({unpack(ARGV, FIRST_ACCOUNT)}) do
    local state = load_account(account)
    found[account] = {fields = state, sub_queues = sub_queues(account, state),
      held = held(account, state), budgets = budgets(account)}
  end
  return found
end

return cjson.encode({now = now, paused = redis.call('EXISTS', 'hg:paused') == 1,
  counters = load_hash('hg:counters') or {}, jobs = sizes('hg:jobs:status:', ALLOWED),
  kinds = sizes('hg:jobs:kind:', CONF.actors), deliveries = sizes('hg:dlvs:status:',
    {pending = true, delivering = true, delivered = true, failed = true}),
  queues = queue_depths(), lags = lags(), processes = processes(), accounts = accounts()})
