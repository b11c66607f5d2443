-- The indexes that list jobs: zsets seq -> job id, by what jobs are found by (find_jobs.lua).
--   hg:jobs, hg:jobs:status:{s}, hg:jobs:account:{a}, hg:jobs:kind:{k}
--   hg:jobs:rule:{rule}, hg:jobs:source:{source}    what created it, for a job of an event
--   hg:jobs:code:{code}     the code of its error
--   hg:jobs:meta:{hash}     an entry of its metadata
--   hg:who:{key}            a person (people.lua)
-- An earlier release writes none by rule, source, code and metadata; index_jobs.lua does that for
-- it. `upto` of hg:indexed is the seq up to which all jobs are in them.
--- @include "clock"
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

-- Nil for a text that is not a decimal number. (Lua would also accept hexadecimal ones.)
function job_indexes.number_of(text)
  return string.find(text, '^%-?%d[%d.eE+-]*$') and tonumber(text) or nil
end

-- A number as text that is the same whatever it was written as.
local function number_text(number)
  local is_small = number > -2 ^ 53 and number < 2 ^ 53
  if is_small and number % 1 == 0 then return digits(number) end
  return string.format('%.17g', number)
end

-- The text of a plain value in metadata; nil for others.
function job_indexes.plain_text(value)
  local kind = type(value)
  if kind == 'string' or kind == 'boolean' then return tostring(value) end
  return kind == 'number' and number_text(value) or nil
end

-- Metadata may have a number where a query has a text: both lead to the same index.
function job_indexes.metadata_index(key, text)
  local number = job_indexes.number_of(text)
  if number then text = number_text(number) end
  return 'hg:jobs:meta:' .. string.sub(redis.sha1hex(#key .. ':' .. key .. text), 1, 20)
end

local function is_short(text, most)
  if #text <= most then return true end
  local _, characters = string.gsub(text, '[^\128-\191]', '')
  return characters <= most
end

-- A job's metadata as an object. Only that it is JSON is certain.
local function metadata_of(job)
  local done, metadata = pcall(cjson.decode, job.metadata)
  return done and type(metadata) == 'table' and metadata or {}
end

-- Sorts keys by where metadata has them.
local function sort_keys(keys, json)
  local places = {}
  for _, key in ipairs(keys) do
    places[key] = string.find(json, '"' .. key .. '":', 1, true) or #json
  end
  table.sort(keys, function(a, b)
    if places[a] ~= places[b] then return places[a] < places[b] end
    return a < b
  end)
end

-- The keys by which a job is found, and the texts of all plain and short values.
local function indexed_entries(job)
  local keys, texts = {}, {}
  for key, value in pairs(metadata_of(job)) do
    local text = type(key) == 'string' and job_indexes.plain_text(value)
    if text and is_short(key, LONGEST_KEY) and is_short(text, LONGEST_VALUE) then
      keys[#keys + 1], texts[key] = key, text
    end
  end
  if #keys > MOST_ENTRIES then sort_keys(keys, job.metadata) end
  return keys, texts
end

-- The values by which a job is found, by their keys.
function job_indexes.indexed_metadata(job)
  local indexed, metadata = {}, metadata_of(job)
  local keys = indexed_entries(job)
  for i = 1, math.min(#keys, MOST_ENTRIES) do indexed[keys[i]] = metadata[keys[i]] end
  return indexed
end

-- The functions below call `visit(index, job, more)` for each index: a list of them, made for each
-- new job, would take Lua longer than the rest.

local function visit_metadata(job, visit, more)
  if job.metadata == '' then return end
  local keys, texts = indexed_entries(job)
  for i = 1, math.min(#keys, MOST_ENTRIES) do
    visit(job_indexes.metadata_index(keys[i], texts[keys[i]]), job, more)
  end
end

-- A text in the JSON that a process has written: there a quote within a text is escaped. To find
-- its name first takes half of the time that one pattern for both does.
local function text_of(json, name)
  local _, at = string.find(json, name, 1, true)
  return at and string.match(json, '^[^"]*', at + 1)
end

function job_indexes.rule_of(job) return text_of(job.source, '"rule":"') end

function job_indexes.source_of(job) return text_of(job.source, '"source":"') end

function job_indexes.code_of(job) return text_of(job.error, '"code":"') end

-- The indexes by what created a job and what its caller has said of it.
local function visit_origin(job, visit, more)
  local rule, source = job_indexes.rule_of(job), job_indexes.source_of(job)
  if rule then visit('hg:jobs:rule:' .. rule, job, more) end
  if source then visit('hg:jobs:source:' .. source, job, more) end
  visit_metadata(job, visit, more)
end

-- The indexes that an earlier release does not write.
function job_indexes.visit_added(job, visit, more)
  local code = job_indexes.code_of(job)
  visit_origin(job, visit, more)
  if code then visit(code_index(code), job, more) end
end

local function append(index, _, indexes) indexes[#indexes + 1] = index end

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
  job_indexes.visit_added(job, append, indexes)
  return indexes
end

local function list_job(index, job) add_to_index(index, job.seq, job.id) end

local function unlist_job(index, job) redis.call('ZREM', index, job.id) end

-- Lists a new job by what created it.
function job_indexes.index_origin(job) visit_origin(job, list_job) end

-- Moves a job between the indexes of fields that are about to change; called before they do.
function job_indexes.reindex(job, fields)
  if fields.error and fields.error ~= job.error then
    local before, after = job_indexes.code_of(job), job_indexes.code_of(fields)
    if before then redis.call('ZREM', code_index(before), job.id) end
    if after then add_to_index(code_index(after), job.seq, job.id) end
  end
  if fields.metadata and fields.metadata ~= job.metadata then
    visit_metadata(job, unlist_job)
    visit_metadata({id = job.id, seq = job.seq, metadata = fields.metadata}, list_job)
  end
end
