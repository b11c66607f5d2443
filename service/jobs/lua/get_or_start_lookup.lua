-- Tells what is known of targets, and sees to it that one job looks where that is not fresh.
-- ARGV   for each, five: target, how long an answer is fresh (ms), entry (JSON, as for create,
--        without an account), the accounts that may look, between spaces, how long one who waits
--        may be kept waiting (ms)
-- Reply  for each as `sight_of`
-- Keeps  one look-up at a time for a target, however many ask and wherever. One that stands before
--        an account that has been shut goes to another that is open.
local now = clock()

local function is_settled(target, fresh_ms)
  local known = load_hash(found_key(target)) or {}
  return (known.body and tonumber(known.at) + fresh_ms > now) or
    (known.problem and tonumber(known.problem_at) + BRIEF > now)
end

local function words_of(text)
  local words = {}
  for word in string.gmatch(text, '%S+') do words[#words + 1] = word end
  return words
end

local function begin(target, account, entry)
  entry.account, entry.target = account, target
  redis.call('SET', flight_key(target), create_job(entry, entry.source, now), 'PX', digits(HOUR))
  return load_job(entry.id)
end

local function look(target, fresh_ms, entry, readers, patience)
  if is_settled(target, tonumber(fresh_ms)) then return sight_of(target, nil, nil, nil, nil, now) end
  patience = tonumber(patience)
  local flying = flight_of(target)
  if flying and (flying.status == 'running' or not barred(flying.account, now, patience)) then
    return sight_of(target, flying, nil, nil, nil, now)
  end
  local account, why, till, since = reader_of(words_of(readers), now, patience)
  if not account then return sight_of(target, flying, why or 'no_account', till, since, now) end
  if flying then finalize(flying, 'canceled', now, 'look', 'another account looks') end
  return sight_of(target, begin(target, account, cjson.decode(entry)), nil, nil, nil, now)
end

local sights = {}
for i = 1, #ARGV, 5 do sights[#sights + 1] = look(unpack(ARGV, i, i + 4)) end
return sights
