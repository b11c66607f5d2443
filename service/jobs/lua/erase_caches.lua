#!lua flags=allow-oom
-- Erases what is kept about a person outside of jobs.
-- ARGV   facts (JSON: names (username or pk:DIGITS), keys (the current key of each
--        name), traced (all keys of all names), accounts)
-- Reply  how many keys and entries were deleted or renamed
-- Keeps  an entry of the do-not-contact list stays, under the person's key.
--- @include "erasure"
local facts = unpack(ARGV)
local person = cjson.decode(facts)
local accounts, erased = person.accounts, 0

local function erase_username(name)
  local recipient = string.find(name, '^%d+$') and '@' .. name or name
  erased = erased + redis.call('DEL', 'hg:pk:' .. recipient, 'hg:known:' .. recipient,
    found_key('user:' .. name), in_flight_key('user:' .. name))
  for _, account in ipairs(accounts) do
    erased = erased + redis.call('SREM', 'hg:streak:' .. account .. ':not_found', 'user:' .. name)
  end
end

local function erase_threads(pk)
  for _, account in ipairs(accounts) do
    erased = erased + redis.call('DEL', thread_key(account, pk))
  end
end

for i, name in ipairs(person.names) do
  local pk = string.match(name, '^pk:(.+)$')
  if pk then erase_threads(pk) else erase_username(name) end
  for _, scope in ipairs({'*', unpack(accounts)}) do
    if erasure.keep_suppression(scope, name, person.keys[i]) then erased = erased + 1 end
  end
end
for _, key in ipairs(person.traced) do erased = erased + erasure.erase_traces(key) end
return erased
