-- Stores a page of a follower export: its rows, where the next page begins and how far it has come.
-- ARGV   job_id, owner, fence, reads (calls besides the one that was charged), pk (of the user
--        whose followers they are), expected (rows in all), cursor (of the next page, '' at the
--        end), last ('last' or 'more'), then row batches: count, rows (packed), their user ids
-- Reply  more (it waits in the account queue again) | succeeded | canceled | expired | failed (it
--        goes round in circles, or stored rows are gone) | lost
-- Keeps  rows, cursor and counts change together, so that an export that was cut off anywhere goes
--        on from its last whole page; no user twice; a page is stored once, however often it is
--        given.
--- @include "finalize"
local job_id, owner, fence, reads, pk, expected, cursor, last = unpack(ARGV, 1, 8)
local FIRST_BATCH = 9
local job, now = load_job(job_id), now_ms()
-- The reply to this page may have been lost.
if job and job.paged == fence then return FINAL[job.status] and job.status or 'more' end
if not is_claimed_by(job, owner, fence) or job.status ~= 'running' or
    tonumber(job.lease) <= now then
  return 'lost'
end
local is_whole = has_all_rows(job)

-- Returns how many rows there are then.
local function store_rows()
  local users, at = tonumber(job.users), FIRST_BATCH
  while at <= #ARGV do
    local size, rows = unpack(ARGV, at, at + 1)
    redis.call('ZADD', rows_key(job.id), users, digits(users) .. ':' .. rows)
    redis.call('SADD', seen_key(job.id), unpack(ARGV, at + 2, at + 1 + size))
    users, at = users + size, at + 2 + size
  end
  return users
end

local function finish(status, by, why, result, failure)
  count('attempt', job.kind, status)
  finalize(job, status, now, by, why, result, failure)
  return status
end

local function fail(code, message, retryable)
  local failure = cjson.encode({code = code, message = message, retryable = retryable})
  return finish('failed', owner, code, nil, failure)
end

charge_reads(job, reads, now)
if not is_whole then
  return fail('result_lost', 'Rows of this export are missing from Redis: start a new export,' ..
    ' and set maxmemory-policy to noeviction.', false)
end
local is_first, users_before = job.pk == '', tonumber(job.users)
local users = store_rows()
local empty_pages = (is_first or users > users_before) and 0 or (job.barren or 0) + 1
local rows_expected = tonumber(expected)
if tonumber(job.most) > 0 then rows_expected = math.min(rows_expected, tonumber(job.most)) end
local is_stuck_in_circles = empty_pages >= MAX_EMPTY_PAGES
local page = {pk = pk, cursor = cursor, pages = job.pages + (is_first and 0 or 1), users = users,
  expected = rows_expected, barren = empty_pages, paged = job.fence}
settle_call(job, now, true, page)
set_fields(job, page)

if last == 'last' or (is_stuck_in_circles and users >= rows_expected) then
  return finish('succeeded', owner, '', cjson.encode({users = users, pages = tonumber(job.pages),
    result_url = '/jobs/' .. job.id .. '/result'}))
end
if job.cancel ~= '' then return finish('canceled', job.cancel, 'requested') end
if is_expired(job, now) then
  count('attempt', job.kind, 'expired')
  expire(job, now, owner)
  return 'expired'
end
if is_stuck_in_circles then
  return fail('pagination_loop', MAX_EMPTY_PAGES .. ' pages in a row had no new user, and' ..
    ' Instagram still named a next one. The rows so far are kept; retry continues after them.',
    true)
end
count('attempt', job.kind, 'page')
-- Attempts are counted anew for the next page.
set_fields(job, {eta = estimate_export_end(job, now, now), attempts = 0, strikes = 0,
  refusals = 0})
publish_progress(job, {pages = tonumber(job.pages), users = tonumber(job.users),
  expected = tonumber(job.expected),
  eta = tonumber(job.eta) > 0 and rfc3339(tonumber(job.eta)) or cjson.null}, now)
requeue_or_grant(job, now, owner, 'page')
return 'more'
