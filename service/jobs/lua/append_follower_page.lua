-- Takes a page of a walk in: its rows, where the next one begins, and how far the walk is.
-- ARGV   1 job id  2 owner  3 fence  4 reads made besides the one charged  5 the walk's user (pk)
--        6 how many rows are expected in all  7 cursor of the next page, '' at the end
--        8 'last' or 'more'  9 how many parcels of rows, then of each: how many rows, the rows
--        packed, and their pks
-- Reply  more (it stands in line again) | succeeded | canceled | expired | failed (it goes round
--        in circles, or what it had found is gone) | lost
-- Keeps  rows, cursor and counts change together, so that a walk cut off anywhere goes on behind
--        its last whole page; no pk twice; a page is taken in once, however often it is given.
local job = load_job(ARGV[1])
local now, last = clock(), ARGV[8] == 'last'
-- The reply to this may have been lost.
if job and job.paged == ARGV[3] then return FINAL[job.status] and job.status or 'more' end
if not job or job.owner ~= ARGV[2] or job.fence ~= ARGV[3] or job.status ~= 'running' or
    tonumber(job.lease) <= now then
  return 'lost'
end
local whole = is_whole(job)

local function keep_rows()
  local users, at = tonumber(job.users), 10
  for _ = 1, tonumber(ARGV[9]) do
    local count = tonumber(ARGV[at])
    redis.call('ZADD', rows_key(job.id), users, digits(users) .. ':' .. ARGV[at + 1])
    redis.call('SADD', walked_key(job.id), unpack(ARGV, at + 2, at + 1 + count))
    users, at = users + count, at + 2 + count
  end
  return users
end

local function ends(status, who, why, result, failure)
  count('attempt', job.kind, status)
  finalize(job, status, now, who, why, result, failure)
  return status
end

local function fail(code, message, retryable)
  local failure = cjson.encode({code = code, message = message, retryable = retryable})
  return ends('failed', ARGV[2], code, nil, failure)
end

charge_reads(job, ARGV[4], now)
if not whole then
  return fail('result_lost', 'What this walk had found is no longer whole in the store: make a new' ..
    ' one, and see maxmemory-policy (noeviction).', false)
end
local first, before = job.pk == '', tonumber(job.users)
local users = keep_rows()
local barren = (first or users > before) and 0 or (job.barren or 0) + 1
local expected = tonumber(ARGV[6])
if tonumber(job.most) > 0 then expected = math.min(expected, tonumber(job.most)) end
last = last or (barren >= MOST_BARREN and users >= expected)
local read = {pk = ARGV[5], cursor = ARGV[7], pages = job.pages + (first and 0 or 1), users = users,
  expected = expected, barren = barren, paged = job.fence}
end_write(job, now, true, read)
set(job, read)

if last then
  return ends('succeeded', ARGV[2], '', cjson.encode({users = users, pages = tonumber(job.pages),
    result_url = '/jobs/' .. job.id .. '/result'}))
end
if job.cancel ~= '' then return ends('canceled', job.cancel, 'asked to') end
if expired(job, now) then
  count('attempt', job.kind, 'expired')
  expire(job, now, ARGV[2])
  return 'expired'
end
if barren >= MOST_BARREN then
  return fail('walk_stuck', MOST_BARREN .. ' pages in a row have brought nobody new, and Instagram' ..
    ' names a next one still. What was found is there; retry goes on behind it.', true)
end
count('attempt', job.kind, 'page')
-- A page that came was no attempt in vain: they are counted for the next one.
set(job, {eta = walk_until(job, now, now), attempts = 0, strikes = 0})
progress(job, {pages = tonumber(job.pages), users = tonumber(job.users),
  expected = tonumber(job.expected),
  eta = tonumber(job.eta) > 0 and rfc3339(tonumber(job.eta)) or cjson.null}, now)
enter(job, now, ARGV[2], 'page')
return 'more'
