-- Jobs as they are stored, and the map of every key.
--
-- Scripts are functions of the store where it allows that. Then the library is made once and
-- serves every run, so nothing in it may change: what one run keeps for itself is in `run`, which
-- is empty when the run begins.
--
-- Keys
--   hg:seq                       counter: the order of everything
--   hg:event:{source}:{id}       hash of an event, which outlives its body; fingerprint is '' where
--                                it lists an erased job, and known:{hash} is there for each body by
--                                which hg:known leads to it
--   hg:encbody:{source}:{id}     the raw body, compressed and encrypted; expires by itself
--   hg:eventbody:{source}:{id}   the same without encryption
--   hg:known:{source}:{hash}     the event that is also known by this: its body, if only that is
--                                signed, or the sender's id of what several subscriptions report
--   hg:deferred:{source}:{id}    jobs of an event that are still to be created, and hg:unfinished
--                                the events that have some (deferred_jobs.lua)
--   hg:events                    zset seq -> source:id; hg:sources the sources in it
--   hg:events:type:{type}, hg:events:status:{s}, hg:events:outcome:{o}    the same, for some
--                                (event_indexes.lua)
--   hg:indexed                   hash: up to which seq all jobs (upto) and events (events) are in
--                                the indexes that earlier releases do not write (job_indexes.lua,
--                                event_indexes.lua), and where the round over all jobs is (again;
--                                index_jobs.lua)
--   hg:job:{id}                  hash (see below); hg:jobtext:{id} its text, or its photo's URL,
--                                encrypted; hg:jobtl:{id} its timeline
--   hg:jobphoto:{id}             the JPEG that it sends, encrypted, until it ends; expires at the
--                                latest
--   hg:jobs, hg:jobs:status:{s}, hg:jobs:account:{a}, hg:jobs:kind:{k}    zsets seq -> job id
--   hg:jobs:rule:{r}, hg:jobs:source:{s}, hg:jobs:code:{c}, hg:jobs:meta:{hash}    the same; what
--                                only newer releases write (job_indexes.lua)
--   hg:jobevents:{id}            set: source:id of further events that list it; expires
--   hg:traces:{key}              set: caches that show this person; expires (people.lua)
--   hg:people                    hash: up to which seq jobs are known to be listed under their
--                                persons, and with which SECRET_KEY (service/people/index.py)
--   hg:erasing:{key}             hash: how far the erasure of a person has come; expires
--   hg:who:{key}                 zset seq -> job that is about this person (people.lua)
--   hg:once:{hash}               the job that was made for a business key of a rule
--   hg:once:fallback:{hash}      the job that was made for another key, and had this one too
--   hg:once:#{hash}, hg:once:fallback:#{hash}, hg:known:{source}:#{hash}, hg:tombstones,
--   hg:jobonce:{id}              what is left of these when a person was erased (tombstones.lua)
--   hg:dlv:{id}                  hash of a delivery; hg:dlvlog:{id} its attempts;
--                                hg:payload:{id} its frozen bytes, until they are delivered (from
--                                then on they can be built from its job)
--   hg:dlvs, hg:dlvs:status:{s}  zsets seq -> delivery id
--   hg:bell:{queue}              stream of one entry: a message came
--                                (actors/dramatiq_async/queue_notifier.py)
--   hg:clock                     hash: how far the clock was set back (clock_steps.lua)
--   hg:due                       zset ms -> id: when a waiting job or delivery is due, or the fetch
--                                of a job's photo must be begun again (photos.lua)
--   hg:wakes                     zset ms -> id: when to send another wake-up if none was claimed
--   hg:leases                    zset ms -> id: when a lease expires
--   hg:expiry                    zset ms -> job id: when a job is no longer worth doing
--   hg:sweep                     where the rescue stopped, while a round of it is incomplete
--   hg:replid                    the replication id that this store was last seen with
--   hg:history                   hash: epoch (how often history was lost), lost_at, since, cause;
--                                beat_at, durable, server, comparing, restarted, complete_at,
--                                was_durable (history.lua)
--   hg:marks                     hash: process -> its high-water mark, when and in which epoch it
--                                was raised (history.lua)
--   hg:sent:{account}            zset ms -> the token of each DM that was about to be sent then
--   hg:retention                 zset ms -> id or source:id: when to prune it
--   hg:paused                    hash: why, note, since; while it exists nothing is written or read
--   hg:acct:{a}                  hash: hold, hold_note, hold_since, hold_met (account_holds.lua);
--                                resuming; paused, paused_note;
--                                pause:{kind}; cool:{kind|*}, cool_at:{kind|*}, cool_why:{kind|*}
--                                (the end of a cooldown, its beginning and reason); cools:{code}
--                                (how often, for ever longer ones); gap:{limit} (ms: when one more
--                                action may begin)
--   hg:acct:{a}:turn             the job that has the account's turn; hg:turns zset ms -> account
--   hg:acct:{a}:line:{q}         zset (priority, seq) -> job that waits in sub-queue q
--   hg:acct:{a}:lanes            set: the sub-queues that may have a job in them
--   hg:alarms                    zset ms -> account: when one of its sub-queues opens
--   hg:newer                     set: accounts in whose queue a job was stepped over, because only
--                                a newer release can do it
--   hg:acct:{a}:held:{kind}      zset (priority, seq) -> job held until a person opens the account
--   hg:acct:{a}:spent:{limit}    zset ms -> what was charged to that budget in the last day
--   hg:streak:{a}:{name}         set: what was refused in a row (streaks.lua); expires by itself
--   hg:accts                     set: every account that ever had a job waiting or held, or a gap
--   hg:suppressed                hash: whom not to write to (service/accounts/suppressions.py)
--   hg:repeat:{hash}             the job that wrote this to this recipient; expires by itself
--   hg:thread:{a}:{pk}           exists when the account has a thread with that user; expires
--   hg:audit                     stream: what was decided about jobs and accounts
--   hg:written:{a}:{what}        the job that wrote something at Instagram; expires by itself
--   hg:counters                  hash: how often each thing has happened (docs/metrics.md), as
--                                what:label:label, and how late the event loops were
--   hg:processes                 zset ms -> process: when it reported last
--   hg:metrics:{process}         hash: what it reported (report_process.lua); expires by itself
--   hg:releases                  zset ms -> release whose processes reported then (runner.py)
--   hg:found:{target}, hg:flight:{target}    results of lookups, and the job of the lookup that is
--                                in flight (lookup_cache.lua)
--   hg:rows:{id}, hg:walked:{id} rows of a follower export, and the user ids in them
--                                (follower_pages.lua)
--   hg:report:{id}               the file of a report (store_report.lua); expires by itself
--   hg:stats:{hour}              hash: how often what ended in that hour (stats.lua); expires
--   hg:idem:{hash}               hash of one idempotency key; expires by itself
--   hg:op:{id}, hg:opitems:{id}, hg:opresults:{id}, hg:ops, hg:unfinished_ops    operations on many
--                                jobs or events (operations.lua)
--   hg:feed                      stream: the latest few thousand timeline entries and progress
--                                reports, for live subscribers (service/live/event_stream.py)
--   {namespace}:{queue}(.msgs)   Dramatiq's own layout (dramatiq/brokers/redis/dispatch.lua)
--
-- Fields of hg:job:{id}. All values are text; times are unix ms, 0 where they have not happened. A
-- field that has its blank value is not stored (hash_encoding.py). Fields in brackets exist only
-- for the kinds that are named.
--   v             version of the record's layout: 2, or 3 where text or photo are encrypted
--                 (service/encryption/cipher.py); a higher one is left to newer releases
--   idem          the key of its idempotency key, if it has one; erased: when what it said of
--                 persons was erased
--   encrypted_as  the id that the text was encrypted for, where the job got another
--   seq           place in the order of everything
--   kind          dm | comment | lookup | followers | following | report
--   account       name of the account that does it; of a report the queue that it waits in
--   status        see model.py
--   to, post      recipient of a DM, or whom or what to read; post to comment on
--   callback      name of the callback endpoint; '' for none
--   metadata      the caller's own (JSON)
--   source        what asked for it (JSON: source, event_id, rule, api_key)
--   prio          0 to 9, higher goes first
--   run           1, and one more each time that a person retries or settles it
--   created, run_at, expires, started, finished    times; expires 0 for never
--   attempts      attempts begun in this run
--   strikes       failed attempts in this run that were the job's own doing
--   refusals      those of them that Instagram itself refused; resends: how often a write that no
--                 verification lookup found was sent again in this run
--   owner         who has the claim, unique to it; '' for nobody. Where the job is waiting, the
--                 claim is of its photo alone (photos.lua)
--   fence         number of the latest claim: an older one can change nothing any more
--   lease         when the claim expires; renewed: when it was renewed last
--   echoes        how many wake-ups in a row nobody claimed
--   cancel        who asked to cancel it while it ran
--   wait_reason   why it waits; wait_until: until when, 0 for unknown
--   lane          the sub-queue in which it waits; '' for none
--   pk            the recipient's or post's numeric id, once known
--   context       what its write can be recognized by later
--   thread        old | new | '': whether the recipient's thread exists; '' is unknown
--   intent_at     when the write was about to happen; 0 once it is known not to have happened
--   checked       the epoch of hg:history for which it was looked for before its write
--   doubt         history: its unconfirmed write is one that lost history may have known, made
--                 after intent_at and before lost_until
--   misses        verification lookups that did not find the write
--   looks         verification lookups that failed
--   looked        when the last verification lookup was recorded, and what it has read
--                 (verification_report.py); looked_in: the thread
--   writing       the sub-queue that its current call was charged as; charged: the claim (fence)
--                 that was charged
--   dry           '1' for a dry run
--   text_hash     tells one text or photo from another, without the text
--   who           keys of the persons it is about, between spaces (people.lua); a release that
--                 does not know them stores none
--   once          the business keys that it was made with (how hg:once:{..} ends), between
--                 spaces; earlier releases store none, and their keys stay with an erasure
--   photo         what the API shows of its photo (JSON)
--   result, error what it left behind, or why it failed (JSON)
--   trimmed       timeline entries that are no longer kept
--   target        [lookup] what is looked up, as in hg:found:{target}
--   cursor, pages, users, expected, most, eta, dropped    [followers, following] see
--                 follower_pages.lua
--   counted, limited, mark, mark_page, repeats, slow    [followers, following] see
--                 follower_ends.lua
--   report        [report] what it is about (JSON, service/reports/request.py)
--   barren, paged [followers, following] pages in a row without a new user; the claim (fence) that
--                 stored the last page
--- @include "config"
--- @include "clock"
--- @include "batch"
--- @include "job_indexes"

-- A job on which workers die is not tried forever.
local MAX_ATTEMPTS = 50

local FINAL = {succeeded = true, failed = true, canceled = true, expired = true, uncertain = true}

-- Kinds that write nothing, by the sub-queue in which they wait.
local READ_KINDS = {lookup = 'lookup', followers = 'walk', following = 'walk', report = 'report'}

local function is_follower_export(job) return READ_KINDS[job.kind] == 'walk' end

local function load_hash(key)
  local flat = redis.call('HGETALL', key)
  if #flat == 0 then return nil end
  local hash = {}
  for i = 1, #flat, 2 do hash[flat[i]] = flat[i + 1] end
  return hash
end

local WITH_BLANKS = {__index = BLANK}

-- Turns a stored hash into the job's fields: joins the pieces and fills in the blanks.
local function read_job(id, hash)
  for _, name in ipairs(FOLDED) do
    local piece, n = hash[name], 1
    while piece and #piece == PIECE do
      n = n + 1
      piece = hash[name .. ':' .. n] or ''
      hash[name] = hash[name] .. piece
    end
  end
  hash.id = id
  return setmetatable(hash, WITH_BLANKS)
end

local function load_job(id)
  local hash = load_hash('hg:job:' .. id)
  return hash and read_job(id, hash)
end

-- In how many pieces a value is stored. A value that ends with a whole piece gets an empty one
-- after it, so that nothing of a longer earlier value is read as part of it.
local function piece_count(name, value)
  if #value < PIECE or not IS_FOLDED[name] then return 1 end
  local pieces = math.floor(#value / PIECE) + 1
  return pieces <= MOST_PIECES and pieces or 1
end

local function piece_name(name, n) return n == 1 and name or name .. ':' .. n end

-- Appends a value that may have to be stored in pieces to the `n` arguments of an HSET; returns
-- how many there are then.
local function append_folded(flat, n, name, value)
  local pieces = piece_count(name, value)
  if pieces == 1 then
    flat[n + 1], flat[n + 2] = name, value
    return n + 2
  end
  for piece = 1, pieces do
    flat[n + 1] = piece_name(name, piece)
    flat[n + 2] = string.sub(value, (piece - 1) * PIECE + 1, piece * PIECE)
    n = n + 2
  end
  return n
end

-- Changes fields of a job, in the store and in `job`.
local function set_fields(job, fields)
  job_indexes.reindex(job, fields)
  local flat, n, gone = {}, 0, {}
  for name, value in pairs(fields) do
    if type(value) == 'number' then value = digits(value) end
    if value ~= BLANK[name] then
      local before = IS_FOLDED[name] and rawget(job, name)
      job[name] = value
      if IS_FOLDED[name] then
        n = append_folded(flat, n, name, value)
        local kept = piece_count(name, value)
        for piece = kept + 1, before and piece_count(name, before) or 0 do
          gone[#gone + 1] = piece_name(name, piece)
        end
      else
        flat[n + 1], flat[n + 2], n = name, value, n + 2
      end
    else
      local before = rawget(job, name)
      if before then
        job[name] = nil
        for piece = 1, piece_count(name, before) do gone[#gone + 1] = piece_name(name, piece) end
      end
    end
  end
  if n > 0 then redis.call('HSET', 'hg:job:' .. job.id, unpack(flat)) end
  if #gone > 0 then redis.call('HDEL', 'hg:job:' .. job.id, unpack(gone)) end
end

-- The fields that tell what a verification lookup has read; none where there was no lookup. Each is
-- short enough for a compact hash.
local function report_fields(seen, now)
  local numbers, thread = string.match(seen, '^(.+)/(%d*)$')
  return numbers and {looked = now_digits(now) .. ' ' .. numbers, looked_in = thread} or {}
end

-- A record that a newer release has written is left to it: whatever leads to the record stays.
local function is_newer(record)
  return (tonumber(record.v or VERSION) or 0) > tonumber(VERSION)
end

-- Whether only a newer release can do a job: it has written the record, or only it knows the kind.
local function is_for_newer(id)
  local v, kind = unpack(redis.call('HMGET', 'hg:job:' .. id, 'v', 'kind'))
  return is_newer({v = v}) or (kind and not CONF.actors[kind]) or false
end

local function is_delivery(id) return string.sub(id, 1, 4) == 'dlv_' end

local function is_claimed_by(job, owner, fence)
  return job and job.owner == owner and job.fence == fence
end

-- Has a record pruned at that time (unix ms).
local function retain_until(id, at) add_to_index('hg:retention', at, id) end
