-- Where a follower export stops, and whether it has the whole list then.
--   Instagram shows only a part of some lists and says so (instagrapi issue 2811), ends others long
--   before the profile's count (instagrapi issue 1318), and of others repeats pages without an end,
--   with the same cursors or with new ones (dilame/instagram-private-api pull request 232,
--   mgp25/Instagram-API issue 602). No export goes on for ever, whatever Instagram replies.
-- In the job's hash: counted (rows by the profile), limited ('1': Instagram shows a part only),
-- mark (the cursor of an earlier page), mark_page (which page), repeats (how often it came back),
-- barren, slow (pages in a row without a new user, and with hardly any).
--- @include "config"
--- @include "records"

-- This many pages in a row without a new user are no gap in the list.
local MAX_EMPTY_PAGES = 10
-- A cursor that comes back this often leads round in circles.
local MAX_REPEATS = 2
-- Nor is there a list whose pages bring hardly a new user, this many times in a row.
local MAX_SLOW_PAGES, SLOW_PAGE_USERS = 100, 10
-- A list with more users than this, by the profile's count, is not that user's list.
local EXCESS_FACTOR, EXCESS_USERS = 2, 10000
-- Profiles count some users that no list shows: nine in ten are the whole list.
local WHOLE_SHARE = 0.9

local export_ends = {}

-- Finds circles of cursors of any length without storing them all (R. P. Brent, 1980): the mark
-- moves on whenever the number of pages has doubled.
function export_ends.track_cursor(job, cursor, pages, fields)
  if cursor == '' then return end
  if cursor == job.mark then
    fields.repeats = (job.repeats or 0) + 1
  elseif pages >= 2 * tonumber(job.mark_page or 0) then
    fields.mark, fields.mark_page = cursor, pages
  end
end

-- Returns the fields to change for a page with so many new users.
function export_ends.track_new_users(job, new_users)
  return {barren = new_users > 0 and 0 or (job.barren or 0) + 1,
    slow = new_users >= SLOW_PAGE_USERS and 0 or (job.slow or 0) + 1}
end

local function repeats_itself(job)
  return tonumber(job.barren) >= MAX_EMPTY_PAGES or tonumber(job.slow or 0) >= MAX_SLOW_PAGES or
    tonumber(job.repeats or 0) >= MAX_REPEATS
end

-- Why no page follows: none | unwanted | repeated_pages | endless_list; nil if one does. The job
-- has the page's fields already.
function export_ends.end_of_export(job, left)
  if left ~= 'wanted' then return left end
  local counted = tonumber(job.counted)
  if counted > 0 and tonumber(job.users) > EXCESS_FACTOR * counted + EXCESS_USERS then
    return 'endless_list'
  end
  return repeats_itself(job) and 'repeated_pages' or nil
end

-- Why an export that ends has a part of the list only; nil if it has the whole list.
function export_ends.incomplete_reason(job, ending)
  local users, counted, most = tonumber(job.users), tonumber(job.counted), tonumber(job.most)
  if ending == 'endless_list' then return ending end
  if counted > 0 and users >= counted then return nil end
  if most > 0 and users >= most or ending == 'unwanted' then return 'row_limit' end
  if job.limited == '1' then return 'limited_by_instagram' end
  if ending == 'repeated_pages' then return ending end
  local dropped = tonumber(job.dropped or 0)
  local listed = users + dropped
  if listed == 0 or listed < math.floor(counted * WHOLE_SHARE) then return 'ended_early' end
  return dropped > 0 and 'rows_dropped' or nil
end
