-- Where a follower export stops, and whether it has the whole list then.
--   Instagram shows only a part of some lists and says so (instagrapi issue 2811), ends others long
--   before the profile's count (instagrapi issue 1318), and of others repeats pages without an end,
--   with the same cursors or with new ones (dilame/instagram-private-api pull request 232,
--   mgp25/Instagram-API issue 602). No export goes on for ever, whatever Instagram replies.
-- In the job's hash: counted (rows by the profile), limited ('1': Instagram shows a part only),
-- mark (the cursor of an earlier page), mark_page (which page), repeats (how often it came back).
--- @include "config"
--- @include "records"

-- This many pages in a row without a new user are no gap in the list.
local MAX_EMPTY_PAGES = 10
-- A cursor that comes back this often leads round in circles.
local MAX_REPEATS = 2
-- Beyond this many pages, each must have brought at least this many new users on average.
local FREE_PAGES = 100
local NEW_USERS_PER_PAGE = 10
-- A list with more users than this, by the profile's count, is not that user's list.
local EXCESS_FACTOR, EXCESS_USERS = 2, 10000
-- Profiles count some users that no list shows: nine in ten are the whole list.
local WHOLE_SHARE = 0.9

-- Finds circles of cursors of any length without storing them all (R. P. Brent, 1980): the mark
-- moves on whenever the number of pages has doubled.
-- Returns the fields to change.
local function track_cursor(job, cursor, pages)
  if cursor ~= '' and cursor == job.mark then return {repeats = (job.repeats or 0) + 1} end
  if pages < 2 * tonumber(job.mark_page or 0) then return {} end
  return {mark = cursor, mark_page = math.max(pages, 1)}
end

local function repeats_itself(job)
  local pages, users, counted = tonumber(job.pages), tonumber(job.users), tonumber(job.counted)
  local least = (pages - FREE_PAGES) * NEW_USERS_PER_PAGE
  return tonumber(job.barren) >= MAX_EMPTY_PAGES or tonumber(job.repeats or 0) >= MAX_REPEATS or
    users < least and counted < least
end

-- Why no page follows: none | unwanted | repeated_pages | endless_list; nil if one does. The job
-- has the page's fields already.
local function end_of_export(job, left)
  if left ~= 'wanted' then return left end
  local counted = tonumber(job.counted)
  if counted > 0 and tonumber(job.users) > EXCESS_FACTOR * counted + EXCESS_USERS then
    return 'endless_list'
  end
  return repeats_itself(job) and 'repeated_pages' or nil
end

-- Why an export that ends has a part of the list only; nil if it has the whole list.
local function incomplete_reason(job, ending)
  local users, counted, most = tonumber(job.users), tonumber(job.counted), tonumber(job.most)
  if ending == 'endless_list' then return ending end
  if counted > 0 and users >= counted then return nil end
  if most > 0 and users >= most or ending == 'unwanted' then return 'row_limit' end
  if job.limited == '1' then return 'limited_by_instagram' end
  if ending == 'repeated_pages' then return ending end
  local is_whole = users > 0 and users >= math.floor(counted * WHOLE_SHARE)
  return not is_whole and 'ended_early' or nil
end
