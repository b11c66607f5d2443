-- What find_jobs.lua is asked for, compared with the records of jobs.
--   query: {statuses, account, bound_to (accounts), kind, rule, source, codes,
--   metadata {key, text pairs}, since, until (unix ms), person {asked, names, keys, listed_under},
--   ids}; what is not asked for is nil
--- @include "records"
--- @include "job_indexes"
--- @include "suppression"

-- Whether a value of metadata is the one that a query has as text. A large number is compared digit
-- by digit: Lua knows 16 of them.
local function is_value(value, text, json)
  if type(value) ~= 'number' then return job_indexes.plain_text(value) == text end
  if job_indexes.number_of(text) ~= value then return false end
  local pattern = ':' .. string.gsub(text, '%p', '%%%0') .. '[,}]'
  return math.abs(value) < 2 ^ 53 or string.find(json, pattern) ~= nil
end

local function has_metadata(job, entries)
  local metadata = job_indexes.indexed_metadata(job)
  for _, entry in ipairs(entries) do
    if not is_value(metadata[entry[1]], entry[2], job.metadata) then return false end
  end
  return true
end

-- Whether a job is for this person, who may have been written to by other names: as
-- service/jobs/person.py decides it.
local function is_for(job, person)
  if job.to == '' then return false end
  local name, pk = suppression_name(job.to), job.pk ~= '' and 'pk:' .. job.pk
  local names = set_of(person.names)
  if name == person.asked or pk == person.asked or pk and names[pk] then return true end
  return not pk and names[name] or false
end

local function is_created_within(job, query)
  local created = tonumber(job.created)
  return created >= (query.since or 0) and created < (query['until'] or math.huge)
end

-- Whether a job's record meets everything.
local function is_found(job, query)
  return (not query.statuses or set_of(query.statuses)[job.status] or false)
    and (not query.account or query.account == job.account)
    and (not query.bound_to or set_of(query.bound_to)[job.account] or false)
    and (not query.kind or query.kind == job.kind)
    and (not query.rule or query.rule == job_indexes.rule_of(job))
    and (not query.source or query.source == job_indexes.source_of(job))
    and (not query.codes or set_of(query.codes)[job_indexes.code_of(job) or ''] or false)
    and (not query.metadata or has_metadata(job, query.metadata))
    and (not query.person or is_for(job, query.person))
    and is_created_within(job, query)
end
