#!lua flags=no-writes
-- Tells how much there is of everything and what has been counted, for GET /metrics.
-- ARGV   1 Dramatiq's queues between spaces  then the accounts to tell of
-- Reply  JSON: {now, paused, counters {name: count}, jobs {status: n}, kinds {kind: n},
--        deliveries {status: n}, queues {queue: {depth, oldest (ms)}}, lags {index: ms},
--        processes {process: {tier, peak_us, listeners}}, accounts {account: {fields, lines {lane: {n, why}},
--        held {kind: {n, why}}, budgets {pace: {hour {used, limit}, day {used, limit}}}}}}
-- Keeps  reads only; its cost grows with the accounts and not with the jobs.
local now = clock()

local function sizes(prefix, names)
  local found = {}
  for _, name in ipairs(names) do found[name] = redis.call('ZCARD', prefix .. name) end
  return found
end

local function statuses()
  local names = {}
  for status in pairs(ALLOWED) do names[#names + 1] = status end
  return names
end

-- How long the first message has waited; what is no message of Dramatiq's has no age.
local function age(queue)
  local first = redis.call('LINDEX', queue, 0)
  local data = first and redis.call('HGET', queue .. '.msgs', first)
  local sound, message = pcall(cjson.decode, data or '')
  local sent = sound and type(message) == 'table' and tonumber(message.message_timestamp)
  return sent and math.max(0, now - sent) or 0
end

local function queues()
  local found = {}
  for name in string.gmatch(ARGV[1], '%S+') do
    local queue = CONF.namespace .. ':' .. name
    found[name] = {depth = redis.call('LLEN', queue), oldest = age(queue)}
  end
  return found
end

-- For how long what is due has been left undone.
local function lags()
  local found = {}
  for _, index in ipairs({'due', 'wakes', 'leases', 'expiry', 'turns', 'alarms'}) do
    local first = redis.call('ZRANGE', 'hg:' .. index, 0, 0, 'WITHSCORES')[2]
    found[index] = math.max(0, now - tonumber(first or now))
  end
  return found
end

-- Longer gone than its report holds, a process has no hash.
local function processes()
  local found = {}
  for _, process in ipairs(redis.call('ZRANGE', 'hg:processes', 0, -1)) do
    found[process] = load_hash('hg:metrics:' .. process)
  end
  return found
end

local function budgets(name)
  local found = {}
  for pace in pairs(limits_of(name).paces) do
    local per_hour, per_day = most_of(name, pace, now)
    local key = spent_key(name, pace)
    local function used(span) return redis.call('ZCOUNT', key, '(' .. digits(now - span), '+inf') end
    found[pace] = {hour = {used = used(HOUR), limit = per_hour}, day = {used = used(DAY), limit = per_day}}
  end
  return found
end

local function lines(name, account)
  local found = {}
  for _, lane in ipairs(redis.call('SMEMBERS', 'hg:acct:' .. name .. ':lanes')) do
    local n = redis.call('ZCARD', line_key(name, lane))
    if n > 0 then found[lane] = {n = n, why = door(name, account, lane, now) or 'turn'} end
  end
  return found
end

local function held(name, account)
  local found = {}
  for kind in pairs(CONF.actors) do
    local n = redis.call('ZCARD', 'hg:acct:' .. name .. ':held:' .. kind)
    if n > 0 then found[kind] = {n = n, why = stopped(account, kind) or 'resuming'} end
  end
  return found
end

local function accounts()
  local found = {}
  for i = 2, #ARGV do
    local name, account = ARGV[i], account_of(ARGV[i])
    found[name] = {fields = account, lines = lines(name, account), held = held(name, account),
      budgets = budgets(name)}
  end
  return found
end

local kinds = {}
for kind in pairs(CONF.actors) do
  if kind ~= 'delivery' then kinds[#kinds + 1] = kind end
end
return cjson.encode({now = now, paused = redis.call('EXISTS', 'hg:paused') == 1,
  counters = load_hash('hg:counters') or {}, jobs = sizes('hg:jobs:status:', statuses()),
  kinds = sizes('hg:jobs:kind:', kinds),
  deliveries = sizes('hg:dlvs:status:', {'pending', 'delivering', 'delivered', 'failed'}),
  queues = queues(), lags = lags(), processes = processes(), accounts = accounts()})
