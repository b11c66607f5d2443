"""Lets time pass at once: moves every time that the ledger has stored into the past."""

from __future__ import annotations

import redis

#: One script, so that nothing runs while only half of the times are moved.
_SHIFT = """#!lua flags=allow-oom
local ms = tonumber(ARGV[1])
local function digits(n) return string.format('%.0f', n) end
local moments = {}
for name in string.gmatch('created run_at expires started finished lease renewed wait_until ' ..
    'intent_at next_at ended received hold_since paused eta since at problem_at ' ..
    'lost_at lost_until beat_at comparing was set_at', '%S+') do
  moments[name] = true
end

local function is_moment(name)
  return moments[name] or string.find(name, '^cool:') or string.find(name, '^cool_at:') or
    string.find(name, '^gap:') or string.find(name, '^pause:')
end

local function earlier(key, fields)
  for i = 1, #fields, 2 do
    local name, value = fields[i], tonumber(fields[i + 1])
    if is_moment(name) and value and value > 0 then
      redis.call('HSET', key, name, digits(value - ms))
    elseif string.find(name, '^cools:') then
      local times, last = string.match(fields[i + 1], '(%d+) (%d+)')
      redis.call('HSET', key, name, times .. ' ' .. digits(last - ms))
    end
  end
end

local indexes = redis.call('KEYS', 'hg:acct:*:spent:*')
for _, key in ipairs(redis.call('KEYS', 'hg:sent:*')) do indexes[#indexes + 1] = key end
for name in string.gmatch('due wakes leases expiry retention turns alarms unfinished ' ..
    'unfinished_ops', '%S+') do
  indexes[#indexes + 1] = 'hg:' .. name
end
for _, index in ipairs(indexes) do
  for _, member in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    redis.call('ZINCRBY', index, -ms, member)
  end
end
for _, key in ipairs(redis.call('KEYS', 'hg:jobtl:*')) do
  for i, entry in ipairs(redis.call('LRANGE', key, 0, -1)) do
    local at, rest = string.match(entry, '^(%d+)(\\t.*)$')
    if at then redis.call('LSET', key, i - 1, digits(at - ms) .. rest) end
  end
end
-- Counters are of whole hours (lib/stats.lua).
local counted, hours = redis.call('KEYS', 'hg:stats:*'), math.floor(ms / 3600000)
table.sort(counted, function(a, b) return (a < b) == (ms > 0) end)
for _, key in ipairs(hours ~= 0 and counted or {}) do
  redis.call('RENAME', key, 'hg:stats:' .. digits(string.match(key, '%d+$') - hours))
end
for _, key in ipairs(redis.call('KEYS', 'hg:*')) do
  if redis.call('TYPE', key).ok == 'hash' then earlier(key, redis.call('HGETALL', key)) end
  local left = redis.call('PTTL', key)
  if left > 0 and left > ms then
    redis.call('PEXPIRE', key, digits(left - ms))
  elseif left > 0 then
    redis.call('DEL', key)
  end
end
"""


def pass_time(store: redis.Redis, ms: int) -> None:
    """Change the store as if `ms` had passed and no process had done anything.

    Parameters:
      store: The ledger's store.
      ms: How long, in ms; negative to set the clock back.
    """
    store.eval(_SHIFT, 0, ms)
