#!lua flags=no-writes
-- Shows an account: what stands in its way, what waits for it, and what it has spent.
-- ARGV   1 account
-- Reply  JSON: {now, fields (its hash), paused, turn, lines {lane: count}, held {kind: count},
--        budgets {pace: {gap, per_hour {used, limit}, per_day {used, limit}, why, at}}, quiet_until}
-- Keeps  reads only.
local name, now = ARGV[1], clock()
local key, account = 'hg:acct:' .. ARGV[1], account_of(ARGV[1])
local terms = limits_of(name)
local shown = {now = now, fields = account, paused = redis.call('HGET', 'hg:paused', 'why') or nil,
  turn = redis.call('GET', key .. ':turn') or nil, quiet_until = quiet_until(name, now),
  lines = {}, held = {}, budgets = {}}

local function used(pace, span)
  return redis.call('ZCOUNT', spent_key(name, pace), '(' .. digits(now - span), '+inf')
end

for _, lane in ipairs(redis.call('SMEMBERS', key .. ':lanes')) do
  shown.lines[lane] = redis.call('ZCARD', line_key(name, lane))
end
for kind in pairs(CONF.actors) do
  shown.held[kind] = redis.call('ZCARD', key .. ':held:' .. kind)
end
for pace, own in pairs(terms.paces) do
  local per_hour, per_day = most_of(name, pace, now)
  local why, at = full(name, account, pace, now)
  shown.budgets[pace] = {gap = own.gap, why = why, at = at or now,
    per_hour = {used = used(pace, HOUR), limit = per_hour},
    per_day = {used = used(pace, DAY), limit = per_day}}
end
return cjson.encode(shown)
