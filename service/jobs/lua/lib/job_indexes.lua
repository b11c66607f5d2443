-- The indexes that list jobs: zsets seq -> job id, by what jobs are found by (find_jobs.lua).
--   hg:jobs, hg:jobs:status:{s}, hg:jobs:account:{a}, hg:jobs:kind:{k}
--   hg:jobs:rule:{rule}, hg:jobs:source:{source}    what created it, for a job of an event
--   hg:jobs:code:{code}     the code of its error
--   hg:jobs:meta:{hash}     an entry of its metadata
--   hg:who:{key}            a person (people.lua)
-- An earlier release writes none by rule, source, code and metadata; index_jobs.lua does that for
-- it. `upto` of hg:indexed is the seq up to which all jobs are in them.
--- @include "batch"

local job_indexes = {}

-- What of a job's metadata is indexed: the first entries with plain values, as far as both are
-- short. In characters (job_filter.py).
local MOST_ENTRIES, LONGEST_KEY, LONGEST_VALUE = 4, 40, 100

local function set_of(list)
  local set = {}
  for _, each in ipairs(list) do set[each] = true end
  return set
end

-- The index of the jobs about a person, by their key (person_keys.py).
local function person_index(key) return 'hg:who:' .. key end

local function code_index(code) return 'hg:jobs:code:' .. code end

-- Nil for a text that is not written as numbers are. As Lua reads them, numbers may be hexadecimal.
function job_indexes.number_of(text)
  return string.find(text, '^%-?%d[%d.eE+-]*$') and tonumber(text) or nil
end

local function is_short(text, most)
  local _, characters = string.gsub(text, '[^\128-\191]', '')
  return characters <= most
end

-- Metadata may have a number where a query has a text: both lead to the same index.
function job_indexes.metadata_index(key, text)
  local number = job_indexes.number_of(text)
  if number then text = string.format('%.17g', number) end
  return 'hg:jobs:meta:' .. string.sub(redis.sha1hex(#key .. ':' .. key .. text), 1, 20)
end

-- The text of a plain value in metadata; nil for others.
function job_indexes.plain_text(value)
  local kind = type(value)
  if kind == 'string' or kind == 'boolean' then return tostring(value) end
  return kind == 'number' and string.format('%.17g', value) or nil
end

-- An object of a job's metadata, in which nobody vouches for anything but that it is JSON.
local function metadata_of(job)
  local done, metadata = pcall(cjson.decode, job.metadata)
  return done and type(metadata) == 'table' and metadata or {}
end

-- The keys of plain and short values, in the order in which metadata has them.
local function plain_keys(json, metadata)
  local keys, places = {}, {}
  for key, value in pairs(metadata) do
    local text = type(key) == 'string' and job_indexes.plain_text(value)
    if text and is_short(key, LONGEST_KEY) and is_short(text, LONGEST_VALUE) then
      keys[#keys + 1] = key
      places[key] = string.find(json, '"' .. key .. '":', 1, true) or #json
    end
  end
  table.sort(keys, function(a, b)
    if places[a] ~= places[b] then return places[a] < places[b] end
    return a < b
  end)
  return keys
end

-- The entries by which a job is found.
function job_indexes.indexed_metadata(job)
  local indexed = {}
  if job.metadata == '' then return indexed end
  local metadata = metadata_of(job)
  for i, key in ipairs(plain_keys(job.metadata, metadata)) do
    if i > MOST_ENTRIES then break end
    indexed[key] = metadata[key]
  end
  return indexed
end

local function metadata_indexes(job)
  local indexes = {}
  for key, value in pairs(job_indexes.indexed_metadata(job)) do
    indexes[#indexes + 1] = job_indexes.metadata_index(key, job_indexes.plain_text(value))
  end
  return indexes
end

-- What created a job, from the JSON that a process has written: a quote within a text is escaped.
function job_indexes.rule_of(job) return string.match(job.source, '"rule":"([^"]*)"') end

function job_indexes.source_of(job) return string.match(job.source, '"source":"([^"]*)"') end

function job_indexes.code_of(job) return string.match(job.error, '"code":"([^"]*)"') end

-- The indexes by what created a job and what its caller has said of it.
local function origin_indexes(job)
  local indexes = metadata_indexes(job)
  local rule, source = job_indexes.rule_of(job), job_indexes.source_of(job)
  if rule then indexes[#indexes + 1] = 'hg:jobs:rule:' .. rule end
  if source then indexes[#indexes + 1] = 'hg:jobs:source:' .. source end
  return indexes
end

-- The indexes that an earlier release does not write.
function job_indexes.added(job)
  local indexes, code = origin_indexes(job), job_indexes.code_of(job)
  if code then indexes[#indexes + 1] = code_index(code) end
  return indexes
end

-- The indexes that every release writes.
function job_indexes.first(job)
  local indexes = {'hg:jobs', 'hg:jobs:status:' .. job.status, 'hg:jobs:account:' .. job.account,
    'hg:jobs:kind:' .. job.kind}
  for key in string.gmatch(job.who, '%S+') do indexes[#indexes + 1] = person_index(key) end
  return indexes
end

-- All indexes that list a job.
local function lists_of(job)
  local indexes = job_indexes.first(job)
  for _, index in ipairs(job_indexes.added(job)) do indexes[#indexes + 1] = index end
  return indexes
end

-- Lists a new job by what created it.
function job_indexes.index_origin(job)
  for _, index in ipairs(origin_indexes(job)) do add_to_index(index, job.seq, job.id) end
end

-- Moves a job between the indexes of fields that are about to change; called before they do.
function job_indexes.reindex(job, fields)
  if fields.error and fields.error ~= job.error then
    local before, after = job_indexes.code_of(job), job_indexes.code_of(fields)
    if before then redis.call('ZREM', code_index(before), job.id) end
    if after then add_to_index(code_index(after), job.seq, job.id) end
  end
  if fields.metadata and fields.metadata ~= job.metadata then
    for _, index in ipairs(metadata_indexes(job)) do redis.call('ZREM', index, job.id) end
    for _, index in ipairs(metadata_indexes(fields)) do add_to_index(index, job.seq, job.id) end
  end
end
