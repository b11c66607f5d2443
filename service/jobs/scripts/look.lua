-- Tells what is known of a target, and sees to it that one job looks where that is not fresh.
-- ARGV   1 target  2 how long an answer is fresh (ms)  3 entry (JSON, as for create, without an
--        account)  4 the accounts that may look, between spaces  5 how long one who waits may be
--        kept waiting (ms)
-- Reply  {flat hash of what is known, job that looks or '', why nobody can or '', until when (0: a
--        person is needed), since when (0: not told), now}
-- Keeps  one look-up at a time for a target, however many ask and wherever.
local target, now = ARGV[1], clock()
local known = load_hash(found_key(target)) or {}

local function says(job_id, why, till, since)
  return {redis.call('HGETALL', found_key(target)), job_id, why or '', digits(till or 0),
    digits(since or 0), now}
end

local fresh = known.body and tonumber(known.at) + tonumber(ARGV[2]) > now
if fresh or (known.problem and tonumber(known.problem_at) + BRIEF > now) then return says('') end
local flying = redis.call('GET', flight_key(target))
if flying and not FINAL[redis.call('HGET', 'hg:job:' .. flying, 'status') or 'failed'] then
  return says(flying)
end
local names = {}
for name in string.gmatch(ARGV[4], '%S+') do names[#names + 1] = name end
local account, why, till, since = reader_of(names, now, tonumber(ARGV[5]))
if not account then return says('', why or 'no_account', till, since) end
local entry = cjson.decode(ARGV[3])
entry.account, entry.target = account, target
redis.call('SET', flight_key(target), create_job(entry, entry.source, now), 'PX', digits(HOUR))
return says(entry.id)
