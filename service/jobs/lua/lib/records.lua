-- What every ledger script begins with. scripts.py puts `CONF` (times in ms, queue names),
-- `ALLOWED` (the transition table of model.py), `RELEASE` and how a job's hash is laid out
-- (layout.py) before it; the other files of this folder and one script's body follow.
--
-- Where scripts are functions of the store, all of this is made once and serves every run. So
-- nothing here may change: what a run keeps for itself stands in `run`, which is empty at its begin.
--
-- Keys
--   hg:seq                       counter: the order of everything
--   hg:event:{source}:{id}       hash, a tombstone that outlives its body
--   hg:eventbody:{source}:{id}   zlib of the raw body, expires by itself
--   hg:events                    zset seq -> source:id; hg:sources the sources it names
--   hg:job:{id}                  hash; hg:jobtext:{id} its text (or the URL of its photo);
--                                hg:jobtl:{id} its timeline
--   hg:jobphoto:{id}             the JPEG it sends, until it ends; expires by itself at the latest
--   hg:jobs, hg:jobs:status:{s}, hg:jobs:account:{a}, hg:jobs:kind:{k}    zsets seq -> job id
--   hg:once:{rule}:{hash}        job id made under a business key
--   hg:dlv:{id}                  hash; hg:dlvlog:{id} its attempts; hg:payload:{id} its frozen bytes,
--                                until they are delivered (then its job tells them)
--   hg:dlvs, hg:dlvs:status:{s}  zsets seq -> delivery id
--   hg:bell:{queue}              stream of one entry: somebody rang (actors/dramatiq_async/queue_notifier.py)
--   hg:due                       zset ms -> id: when to ring for a job or delivery that waits
--   hg:wakes                     zset ms -> id: when to ring again for one nobody claimed
--   hg:leases                    zset ms -> id: when a claim lapses
--   hg:expiry                    zset ms -> job id: when a job is no longer worth doing
--   hg:sweep                     where the sweep stopped, while it is half way
--   hg:replid                    whose history of writes this store goes on with
--   hg:retention                 zset ms -> id or source:id: when to forget it
--   hg:paused                    hash: why, note, since; while it is there nobody writes or reads
--   hg:acct:{a}                  hash: hold, hold_note, hold_since, resuming, paused, paused_note, pause:{kind}, cool:{kind|*},
--                                cool_why:{kind|*}, cools:{code} (how often, for ever longer ones),
--                                gap:{pace} (ms: when one more may begin)
--   hg:acct:{a}:turn             the job whose turn it is; hg:turns zset ms -> account
--   hg:acct:{a}:line:{lane}      zset (priority, seq) -> job waiting for its turn
--   hg:acct:{a}:lanes            set: the lanes that may have somebody in them
--   hg:alarms                    zset ms -> account: when a door opens for who waits in its line
--   hg:acct:{a}:held:{kind}      zset (priority, seq) -> job held until a person opens the account
--   hg:acct:{a}:spent:{pace}     zset ms -> what was charged to that budget in the last day
--   hg:accts                     set: every account that ever had something waiting or held
--   hg:suppressed                hash: whom not to write to (service/accounts/suppressions.py)
--   hg:repeat:{hash}             the job that wrote this to this recipient, expires by itself
--   hg:thread:{a}:{pk}           there when the account has a thread with them, expires by itself
--   hg:audit                     stream: what was decided about jobs and accounts
--   hg:written:{a}:{what}        the job whose write something at Instagram is, expires by itself
--   hg:counters                  hash: how often each thing has happened (docs/metrics.md), as
--                                what:label:label, and how late the loops were
--   hg:processes                 zset ms -> process: when it reported last
--   hg:metrics:{process}         hash: what it reported (report.lua), expires by itself
--   hg:releases                  zset ms -> release whose processes reported then (functions.py)
--   hg:found:{target}, hg:flight:{target}    what look-ups found, and which one flies (found.lua)
--   hg:rows:{id}, hg:walked:{id} what a walk has found, and whom (walks.lua)
--   hg:idem:{hash}               hash of one idempotency key, expires by itself
--   {namespace}:{queue}(.msgs)   Dramatiq's own layout (dramatiq/brokers/redis/dispatch.lua)
--   hg:feed                      stream: every entry of every timeline, and how far long jobs have
--                                come; the latest few thousand, for live listeners (jobs/feed.py)

local VERSION = '2'
local TIMELINE_LIMIT = 200
-- Entries are some hundred bytes: half a megabyte in all, and two for the longest results.
local FEED_LIMIT = 5000
local FEED_OUTCOME_LIMIT = 2048
local ATTEMPT_LOG_LIMIT = 100
local PAYLOAD_LIMIT = 20480
-- A job on which workers die does not go round for ever.
local MOST_ATTEMPTS = 50

local FINAL = {succeeded = true, failed = true, canceled = true, expired = true, uncertain = true}

local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Lua prints large numbers as 1.7e+12; Redis and JSON want digits. `%d` takes a third of the time
-- of `%.0f`, and is too narrow on a server of 32 bits. (While a library is loaded there is no
-- `string`: so each run finds out.)
local function digits(n)
  run.whole = run.whole or (string.format('%d', 2 ^ 52) == '4503599627370496' and '%d' or '%.0f')
  return string.format(run.whole, n)
end

-- The digits of a run's own moment, which it writes many times.
local function moment(now)
  if run.now ~= now then run.now, run.moment = now, digits(now) end
  return run.moment
end

-- A script that does the same for many gathers what they add to indexes and counters: each gets it
-- in one command at the end. Only what nobody reads or takes away before that may wait so long.
-- `expected`: how many places in the order they take. Those that are not needed stay empty.
local function gather(expected)
  run.gathered, run.counts, run.seen, run.places = {}, {}, {}, expected
end

local function write_gathered()
  local failure
  for key, rows in pairs(run.gathered) do
    for i = 1, #rows, 1000 do
      local reply = redis.pcall('ZADD', key, unpack(rows, i, math.min(i + 999, #rows)))
      failure = failure or type(reply) == 'table' and reply.err
    end
  end
  for name, times in pairs(run.counts) do redis.call('HINCRBY', 'hg:counters', name, times) end
  if failure then error(failure) end
end

local function index(key, score, member)
  local rows = run.gathered and (run.gathered[key] or {})
  if not rows then return redis.call('ZADD', key, score, member) end
  rows[#rows + 1], run.gathered[key] = score, rows
  rows[#rows + 1] = member
end

-- Adds to a set that nearly always has it already.
local function enroll(key, member)
  local name = key .. '\n' .. member
  if run.seen and run.seen[name] then return end
  redis.call('SADD', key, member)
  if run.seen then run.seen[name] = true end
end

local function strike(key, member)
  redis.call('SREM', key, member)
  if run.seen then run.seen[key .. '\n' .. member] = nil end
end

-- Counted in the step that does it, so that no count is lost. The parts are few words of ours.
local function count(...)
  local name = table.concat({...}, ':')
  if not run.gathered then return redis.call('HINCRBY', 'hg:counters', name, 1) end
  run.counts[name] = (run.counts[name] or 0) + 1
end

local function now_seq()
  local place = (run.place or 0) + 1
  if place > (run.last_place or 0) then
    run.last_place = redis.call('INCRBY', 'hg:seq', run.places or 1)
    place, run.places = run.last_place - (run.places or 1) + 1, 1
  end
  run.place = place
  return place
end

local function load_hash(key)
  local flat = redis.call('HGETALL', key)
  if #flat == 0 then return nil end
  local hash = {}
  for i = 1, #flat, 2 do hash[flat[i]] = flat[i + 1] end
  return hash
end

local FILLED = {__index = BLANK}

-- A job's hash as its fields were set: pieces put together, blanks filled in.
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
  return setmetatable(hash, FILLED)
end

local function load_job(id)
  local hash = load_hash('hg:job:' .. id)
  return hash and read_job(id, hash)
end

-- Unix ms as RFC 3339 UTC (days to civil date: Howard Hinnant's algorithm).
local function rfc3339(ms)
  local seconds = math.floor(ms / 1000)
  local days = math.floor(seconds / 86400)
  local rest = seconds - days * 86400
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(rest / 3600), math.floor(rest / 60) % 60, rest % 60, ms % 1000)
end

-- Puts one message for `id` on the broker, as `broker.enqueue` would, and notes when to ring again.
-- For a kind of work that only a newer release knows, the note is all: that one rings.
local function ring(id, kind, now)
  redis.call('ZADD', 'hg:wakes', now + CONF.lease, id)
  local actor = CONF.actors[kind]
  if not actor then return end
  local message_id = 'wake-' .. digits(redis.call('INCR', 'hg:wakeseq'))
  local queue = CONF.namespace .. ':' .. actor.queue
  redis.call('HSET', queue .. '.msgs', message_id,
    '{"queue_name":"' .. actor.queue .. '","actor_name":"' .. actor.name .. '","args":["' .. id ..
    '"],"kwargs":{},"options":{"redis_message_id":"' .. message_id .. '"},"message_id":"' ..
    message_id .. '","message_timestamp":' .. moment(now) .. '}')
  redis.call('RPUSH', queue, message_id)
  redis.call('XADD', 'hg:bell:' .. actor.queue, 'MAXLEN', 1, '*', 'r', '1')
end

-- Jobs that read and write nothing, by the lane they stand in.
local READS = {lookup = 'lookup', followers = 'walk', following = 'walk'}

-- Between its pages a walk goes round through the line: while its timeline says that it runs, that
-- is no news.
local ROUND = {queued = true, waiting = true, running = true}
local TURNING = {[''] = true, page = true, turn = true, ['its turn'] = true}

local function only_turns(job, key, to, why)
  if READS[job.kind] ~= 'walk' or not (ROUND[to] and TURNING[why or '']) then return false end
  local last = redis.call('LINDEX', key, -1)
  return last and string.match(last, '^%d+\t(%a+)') == 'running'
end

-- For live listeners: what is written here with a change is all they need to hear of it.
local function publish(job, now, ...)
  redis.call('XADD', 'hg:feed', 'MAXLEN', '~', FEED_LIMIT, '*', 'job', job.id, 'at', moment(now), ...)
end

-- How far a long job has come; no change of state, and kept nowhere else. Flat fields; numbers are
-- whole and below 10^14.
local function progress(job, fields, now) publish(job, now, 'progress', cjson.encode(fields)) end

-- Entries are numbered from 1 by their place in the timeline: `trimmed` counts those that it no
-- longer holds. So the number of an entry is the same for whoever reads it, whenever.
-- A line is ms, status, who and why between tabs.
local function line_of(now, to, who, why)
  if string.find(who, '\t', 1, true) then who = string.gsub(who, '\t', ' ') end
  return moment(now) .. '\t' .. to .. '\t' .. who .. '\t' .. why
end

local function note(job, now, to, who, why)
  local key = 'hg:jobtl:' .. job.id
  if only_turns(job, key, to, why) then return end
  local length = redis.call('RPUSH', key, line_of(now, to, who, why or ''))
  local number = digits(length + tonumber(job.trimmed or 0))
  if length > TIMELINE_LIMIT then
    redis.call('LTRIM', key, -TIMELINE_LIMIT, -1)
    job.trimmed = digits(redis.call('HINCRBY', 'hg:job:' .. job.id, 'trimmed', length - TIMELINE_LIMIT))
  end
  local outcome = {}
  if FINAL[to] and #job.result + #job.error <= FEED_OUTCOME_LIMIT then
    outcome = {'result', job.result, 'error', job.error}
  end
  publish(job, now, 'n', number, 'to', to, 'by', who, 'why', why or '', unpack(outcome))
end

-- In how many pieces a value is stored. One that ends with a whole piece has an empty one after
-- it, so that nothing of a longer value before it is taken for more.
local function pieces_of(name, value)
  if #value < PIECE or not IS_FOLDED[name] then return 1 end
  local pieces = math.floor(#value / PIECE) + 1
  return pieces <= MOST_PIECES and pieces or 1
end

local function piece_name(name, n) return n == 1 and name or name .. ':' .. n end

-- Appends a value that may have to be in pieces to those of an HSET, of which there are `n`.
local function put_folded(flat, n, name, value)
  local pieces = pieces_of(name, value)
  if pieces == 1 then
    flat[n + 1], flat[n + 2] = name, value
    return n + 2
  end
  for piece = 1, pieces do
    flat[n + 1], flat[n + 2] = piece_name(name, piece), string.sub(value, (piece - 1) * PIECE + 1, piece * PIECE)
    n = n + 2
  end
  return n
end

local function set(job, fields)
  local flat, n, gone = {}, 0, {}
  for name, value in pairs(fields) do
    if type(value) == 'number' then value = digits(value) end
    if value ~= BLANK[name] then
      job[name] = value
      if IS_FOLDED[name] then
        n = put_folded(flat, n, name, value)
      else
        flat[n + 1], flat[n + 2], n = name, value, n + 2
      end
    else
      local before = rawget(job, name)
      if before then
        job[name] = nil
        for piece = 1, pieces_of(name, before) do gone[#gone + 1] = piece_name(name, piece) end
      end
    end
  end
  if n > 0 then redis.call('HSET', 'hg:job:' .. job.id, unpack(flat)) end
  if #gone > 0 then redis.call('HDEL', 'hg:job:' .. job.id, unpack(gone)) end
end

-- A record that a newer release has written is left to it: whatever leads to it goes on doing so.
local function is_newer(record) return tonumber(record.v or VERSION) > tonumber(VERSION) end

local function allowed(job, to) return ALLOWED[job.status][to] == true end

-- The only place where a job's state changes, with whatever else changes then. Callers ask `allowed`
-- before their first write.
local function move(job, to, now, who, why, fields)
  if not allowed(job, to) then error('illegal transition ' .. job.status .. ' -> ' .. to) end
  redis.call('ZREM', 'hg:jobs:status:' .. job.status, job.id)
  redis.call('ZADD', 'hg:jobs:status:' .. to, job.seq, job.id)
  fields = fields or {}
  fields.status = to
  set(job, fields)
  note(job, now, to, who, why)
end

