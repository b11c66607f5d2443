-- Does what accepting an event needs, and leaves nothing behind.
-- ARGV   commands, each as one text of words, that the caller's user must have the right to run
-- Reply  what stands in the way, each {'right', command} or {'type', key, its type}; the error of
--        a store that refuses to write comes instead
-- Keeps  every key as it is: adding 0 to a counter is a write like any other, and is replicated.
--        It has the flags of accept_events.lua, so that the store refuses both or neither.
--- @include "arguments"
--- @include "config"
local COUNTERS = {'hg:seq', 'hg:wakeseq'}
local TYPES = {
  string = {'hg:seq', 'hg:wakeseq', 'hg:replid'},
  hash = {'hg:counters', 'hg:history', 'hg:marks', 'hg:paused', 'hg:suppressed'},
  set = {'hg:sources', 'hg:accts'},
  stream = {'hg:feed', 'hg:audit'},
  zset = {
    'hg:events', 'hg:jobs', 'hg:dlvs', 'hg:due', 'hg:wakes', 'hg:leases', 'hg:expiry', 'hg:turns',
    'hg:alarms', 'hg:retention', 'hg:suppressions', 'hg:processes', 'hg:releases',
  },
}

local function words_of(text)
  local words = {}
  for word in string.gmatch(text, '%S+') do words[#words + 1] = word end
  return words
end

local problems = {}

-- A command that this store does not know is nobody's right to withhold.
for command in argument_groups(ARGV, 1, 1) do
  local known, allowed = pcall(redis.acl_check_cmd, unpack(words_of(command)))
  if known and not allowed then problems[#problems + 1] = {'right', command} end
end
if problems[1] then return problems end

local function check_type(key, wanted)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= wanted then problems[#problems + 1] = {'type', key, found} end
end

for wanted, keys in pairs(TYPES) do
  for _, key in ipairs(keys) do check_type(key, wanted) end
end
for _, actor in pairs(CONF.actors) do
  check_type('hg:bell:' .. actor.queue, 'stream')
  check_type(CONF.namespace .. ':' .. actor.queue, 'list')
  check_type(CONF.namespace .. ':' .. actor.queue .. '.msgs', 'hash')
end
if problems[1] then return problems end

for _, key in ipairs(COUNTERS) do
  local is_new = redis.call('EXISTS', key) == 0
  redis.call('INCRBY', key, 0)
  if is_new then redis.call('DEL', key) end
end
return problems
