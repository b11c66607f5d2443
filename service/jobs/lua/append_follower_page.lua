-- Stores a page of a follower export: its rows, where the next page begins and how far it has come.
-- ARGV   job_id, owner, fence, reads (calls besides the one that was charged), pk (of the user
--        whose followers they are), cursor (of the next page, '' at the end), facts (JSON:
--        expected (rows in all), left (what the list has after this page: 'wanted' rows, 'none', or
--        'unwanted' ones when there are as many as were asked for), dropped (entries of the page
--        that name no user), limited (whether Instagram says that it shows a part of the list),
--        who: keys of the user that the job does not have),
--        then row batches: count, rows (packed), their user ids
-- Reply  more (it waits in the account queue again) | succeeded (its result tells whether it has
--        the whole list) | canceled | expired | failed (stored rows are gone) | lost
-- Keeps  rows, cursor and counts change together, so that an export that was cut off anywhere goes
--        on from its last whole page; no user twice; a page is stored once, however often it is
--        given; no export goes on for ever (lib/follower_ends.lua).
--- @include "finalize"
--- @include "streaks"
--- @include "people"
--- @include "follower_ends"
local job_id, owner, fence, reads, pk, cursor, facts = unpack(ARGV, 1, 7)
local FIRST_BATCH = 8
local job, now, found = load_job(job_id), now_ms(), cjson.decode(facts)
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

charge_reads(job, reads, now)
if not is_whole then
  return finish('failed', owner, 'result_lost', nil, cjson.encode({code = 'result_lost',
    message = 'Rows of this export are missing from Redis: start a new export, and set' ..
      ' maxmemory-policy to noeviction.', retryable = false}))
end
local is_first, users_before = job.pk == '', tonumber(job.users)
local users, pages = store_rows(), job.pages + (is_first and 0 or 1)
local rows_expected = found.expected
-- Without the profile's count, as in an export that an older release has begun.
local counted = is_first and rows_expected or tonumber(job.counted or rows_expected)
if tonumber(job.most) > 0 then rows_expected = math.min(rows_expected, tonumber(job.most)) end
local page = is_first and {barren = 0} or export_ends.track_new_users(job, users - users_before)
if not is_first then export_ends.track_cursor(job, cursor, pages, page) end
page.pk, page.cursor, page.paged = pk, cursor, job.fence
page.pages, page.users, page.expected, page.counted = pages, users, rows_expected, counted
page.who = index_persons(job, found.who)
if found.dropped > 0 then page.dropped = (job.dropped or 0) + found.dropped end
if found.limited then page.limited = '1' end
settle_call(job, now, true, page)
set_fields(job, page)
end_streaks(job)

-- A profile that counts nobody has the whole list without a page.
local function succeed(ending)
  local reason = not is_first and export_ends.incomplete_reason(job, ending) or nil
  return finish('succeeded', owner, reason and 'incomplete: ' .. reason or '',
    cjson.encode({users = users, pages = pages, complete = not reason,
      incomplete_reason = reason or cjson.null, dropped_rows = tonumber(job.dropped or 0),
      result_url = '/jobs/' .. job.id .. '/result'}))
end

local ending = export_ends.end_of_export(job, found.left)
if ending then return succeed(ending) end
if job.cancel ~= '' then return finish('canceled', job.cancel, 'requested') end
if is_expired(job, now) then
  count('attempt', job.kind, 'expired')
  expire(job, now, owner)
  return 'expired'
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
