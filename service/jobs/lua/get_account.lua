#!lua flags=no-writes
-- Shows an account: what keeps it from work, what waits for it and what it has spent.
-- ARGV   account
-- Reply  JSON: {now, fields (its hash), paused, turn, sub_queues {sub-queue: count}, held {kind:
--        count}, budgets {limit: {gap, per_hour {used, limit}, per_day {used, limit}, why, at}},
--        quiet_until}; an empty object may be an empty list: Lua does not tell them apart
-- Keeps  reads only.
--- @include "account_queue"
local account = unpack(ARGV)
local now, key = now_ms(), 'hg:acct:' .. account
local state = load_account(account)
local shown = {now = now, fields = state, paused = redis.call('HGET', 'hg:paused', 'why') or nil,
  turn = turn_holder(account) or nil, quiet_until = quiet_until(account, now), sub_queues = {},
  held = {}, budgets = {}}

for _, sub_queue in ipairs(redis.call('SMEMBERS', key .. ':lanes')) do
  shown.sub_queues[sub_queue] = redis.call('ZCARD', queue_key(account, sub_queue))
end
for kind in pairs(CONF.actors) do
  shown.held[kind] = redis.call('ZCARD', key .. ':held:' .. kind)
end
for limit, own in pairs(config_of(account).limits) do
  local per_hour, per_day = budgets_of(account, limit, now)
  local why, at = limit_reached(account, state, limit, now)
  local spent = spent_key(account, limit)
  shown.budgets[limit] = {gap = own.gap, why = why, at = at or now,
    per_hour = {used = spent_in(spent, HOUR, now), limit = per_hour},
    per_day = {used = spent_in(spent, DAY, now), limit = per_day}}
end
return cjson.encode(shown)
