-- Tells what is known of a target, and sees to it that one job looks where that is not fresh.
-- ARGV   1 target  2 how long an answer is fresh (ms)  3 entry (JSON, as for create, without an
--        account)  4 the accounts that may look, between spaces  5 how long one who waits may be
--        kept waiting (ms)
-- Reply  as `sight_of`
-- Keeps  one look-up at a time for a target, however many ask and wherever. One that stands before
--        an account that has been shut goes to another that is open.
local target, now, patience = ARGV[1], clock(), tonumber(ARGV[5])
local known = load_hash(found_key(target)) or {}
local fresh = known.body and tonumber(known.at) + tonumber(ARGV[2]) > now
if fresh or (known.problem and tonumber(known.problem_at) + BRIEF > now) then
  return sight_of(target, nil, nil, nil, nil, now)
end

local flying = flight_of(target)
if flying and (flying.status == 'running' or not barred(flying.account, now, patience)) then
  return sight_of(target, flying, nil, nil, nil, now)
end
local names = {}
for name in string.gmatch(ARGV[4], '%S+') do names[#names + 1] = name end
local account, why, till, since = reader_of(names, now, patience)
if not account then return sight_of(target, flying, why or 'no_account', till or 0, since, now) end
if flying then finalize(flying, 'canceled', now, 'look', 'another account looks') end
local entry = cjson.decode(ARGV[3])
entry.account, entry.target = account, target
redis.call('SET', flight_key(target), create_job(entry, entry.source, now), 'PX', digits(HOUR))
return sight_of(target, load_job(entry.id), nil, nil, nil, now)
