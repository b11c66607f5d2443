-- Creates one job that a caller asked for.
-- ARGV   1 entry (JSON)  2 idempotency key or ''  3 hash of the request  4 how long to keep the key (ms)
--        5 its photo (JPEG), '' for none
-- Reply  {outcome, job id}; outcome: created | repeated | conflict
-- Keeps  one idempotency key names one job; the same key with another request changes nothing.
--        A photo is there as soon as its job is, and no longer.
local entry, now = cjson.decode(ARGV[1]), clock()
if ARGV[2] ~= '' then
  local earlier = load_hash(ARGV[2])
  if earlier then
    return {earlier.request == ARGV[3] and 'repeated' or 'conflict', earlier.job}
  end
end
-- Who reads is chosen here: whoever has most of its budget left, or the first where all are shut.
if entry.readers then entry.account = reader_of(entry.readers, now, math.huge) or entry.readers[1] end
if ARGV[5] ~= '' and redis.call('EXISTS', 'hg:job:' .. entry.id) == 0 then
  keep_photo(entry.id, ARGV[5], entry.run_at or now + entry.delay, now)
end
local id = create_job(entry, entry.source, now)
if ARGV[2] ~= '' then
  redis.call('HSET', ARGV[2], 'request', ARGV[3], 'job', id)
  redis.call('PEXPIRE', ARGV[2], ARGV[4])
end
return {'created', id}
