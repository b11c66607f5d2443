-- Takes a page of a walk in: its rows, where the next one begins, and how far the walk is.
-- ARGV   1 job id  2 owner  3 fence  4 reads made besides the one charged  5 the walk's user (pk)
--        6 how many rows are expected in all  7 the page's rows, packed, or ''  8 cursor of the
--        next page, '' at the end  9 'last' or 'more'  10.. the pks of the rows
-- Reply  more (it stands in line again) | succeeded | canceled | expired | lost
-- Keeps  rows, cursor and counts change together, so that a walk cut off anywhere goes on behind
--        its last whole page; no pk twice.
local job = load_job(ARGV[1])
local now, packed, last = clock(), ARGV[7], ARGV[9] == 'last'
if not job or job.owner ~= ARGV[2] or job.fence ~= ARGV[3] or job.status ~= 'running' or
    tonumber(job.lease) <= now then
  return 'lost'
end

local function keep_rows()
  local count = #ARGV - 9
  redis.call('ZADD', rows_key(job.id), job.users, job.users .. ':' .. packed)
  redis.call('SADD', walked_key(job.id), unpack(ARGV, 10))
  return count
end

-- When it may have ended, by the pace that its account is allowed.
local function eta(users, pages, expected)
  local own = limits_of(job.account).paces.lookup
  local left = math.max(0, expected - users)
  if not own or left == 0 or pages == 0 or users == 0 then return 0 end
  local each = math.max((own.gap[1] + own.gap[2]) / 2, HOUR / own.per_hour, DAY / own.per_day, 1000)
  return now + math.ceil(left / (users / pages)) * each
end

local first = job.pk == ''
local users = job.users + (packed ~= '' and keep_rows() or 0)
local pages = job.pages + (first and 0 or 1)
local expected = tonumber(ARGV[6])
if tonumber(job.most) > 0 then expected = math.min(expected, tonumber(job.most)) end
charge_reads(job, ARGV[4], now)
-- A page that came was no attempt in vain.
set(job, {pk = ARGV[5], cursor = ARGV[8], pages = pages, users = users, expected = expected,
  eta = last and 0 or eta(users, pages, expected), attempts = 1, strikes = 0})
end_write(job, now, true)
count('attempt', job.kind, last and 'succeeded' or 'page')

if job.cancel ~= '' then
  finalize(job, 'canceled', now, job.cancel, 'asked to')
  return 'canceled'
end
if last then
  finalize(job, 'succeeded', now, ARGV[2], '', cjson.encode({users = users, pages = pages,
    result_url = '/jobs/' .. job.id .. '/result'}), nil)
  return 'succeeded'
end
if expired(job, now) then
  expire(job, now, ARGV[2])
  return 'expired'
end
progress(job, {pages = pages, users = users, expected = expected, eta = tonumber(job.eta)}, now)
enter(job, now, ARGV[2], 'page')
return 'more'
