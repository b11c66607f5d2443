-- What Python generates for each release and configuration (builder.py and limits.py). The values
-- here are examples: this file documents the names and shapes, and the builder puts the generated
-- text in its place. A test holds the two to the same names.

-- Times are in ms.
local CONF = {
  lease = 30000,  -- how long a claim, a granted turn or an unanswered wake-up lives
  settle = 15000,  -- from an intent to the first verification lookup of an unconfirmed write
  keep = 3456000000,  -- how long records are kept after their end
  keep_bodies = 604800000,  -- how long event bodies and the texts of ended jobs are kept
  recheck = 60000,  -- the estimate for a job that waits for a person
  repeats = 0,  -- the same recipient and rule (or text) at most once in this time; 0 for off
  namespace = 'hg-mq',  -- what the names of Dramatiq's keys begin with
  actors = {dm = {queue = 'actions', name = 'send_dm'}},  -- by job kind, and 'delivery'
  photo_actor = {queue = 'photos', name = 'fetch_photo'},  -- of jobs that wait for their photo
  operation_actor = {queue = 'calendar', name = 'run_operation'},  -- of operations (operations.lua)
}

-- The newest version of the records that this release writes (hash_encoding.py).
local VERSION = '3'
-- That of all but the jobs whose text or photo is encrypted: what older releases can serve.
local PLAIN_VERSION = '2'

-- The transition table of model.py: the states that each state may change to.
local ALLOWED = {scheduled = {queued = true, canceled = true}, succeeded = {}}

-- How a job's hash is stored (hash_encoding.py): the value of a field that is not stored ...
local BLANK = {['attempts'] = '0', ['to'] = ''}
-- ... the fields whose long values are stored in pieces, as a list and as a set ...
local FOLDED, IS_FOLDED = {'source', 'result'}, {source = true, result = true}
-- ... and the bytes of a piece, and the most pieces before a value is stored whole.
local PIECE, MOST_PIECES = 64, 8

-- What bounds an account; an account that this process does not know gets the default. `gap` is
-- the shortest and the longest pause in ms; `since` is when the account began (unix ms, nil for no
-- ramp); `quiet` is in minutes after midnight of its zone; `callback` is told of its holds. A kind
-- that has no limits is not bounded.
local function account_config(account)
  if account == 'shop' then
    return {limits = {dm = {gap = {45000, 120000}, per_hour = 20, per_day = 80, new_per_hour = 5,
      new_per_day = 15}}, since = 1767225600000, quiet = {from = 1320, to = 510,
      zone = 'Europe/Paris'}, callback = 'crm'}
  end
  return {limits = {}}
end

-- When the clocks of a zone change: pairs of unix ms and the UTC offset in ms from then on, in
-- order.
local function clock_changes(zone)
  if zone == 'Europe/Paris' then return {{1735689600000, 3600000}, {1743296400000, 7200000}} end
  return {}
end

-- Names this release and configuration (twelve hex digits).
local RELEASE = '0123456789ab'
