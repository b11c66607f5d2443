-- What a sound record has, and which indexes it belongs in.
--- @include "config"
--- @include "records"
--- @include "account_queue"
--- @include "event_indexes"

local JOB_SHAPE = {
  prefix = 'hg:job:',
  numbers = {'seq', 'prio', 'run', 'run_at', 'expires', 'finished', 'lease', 'wait_until'},
  words = {'status', 'kind', 'account', 'owner', 'callback', 'source', 'attempts'},
  statuses = ALLOWED,
}
local DELIVERY_SHAPE = {
  prefix = 'hg:dlv:',
  numbers = {'seq', 'created', 'next_at', 'lease'},
  words = {'status', 'job', 'owner'},
  statuses = {pending = true, delivering = true, delivered = true, failed = true},
}

-- Of its other fields consistency_check.py takes care.
local EVENT_SHAPE = {
  prefix = 'hg:event:',
  numbers = {'seq'},
  words = {'type', 'status', 'notes'},
  statuses = {accepted = true, ignored = true, quarantined = true, conflict = true},
}

-- Only an event's id has a colon, after its source.
local function shape_of(id)
  if string.find(id, ':', 1, true) then return EVENT_SHAPE end
  return is_delivery(id) and DELIVERY_SHAPE or JOB_SHAPE
end

local function broken_field(record, shape)
  for _, name in ipairs(shape.numbers) do
    if not tonumber(record[name]) then return name end
  end
  for _, name in ipairs(shape.words) do
    if not record[name] then return name end
  end
  return not shape.statuses[record.status] and 'status' or nil
end

-- Returns the record (nil for none), or nil and what is broken: 'newer' stands for a record that
-- is not ours to judge.
local function read_sound(id, shape)
  local is_hash, record = pcall(load_hash, shape.prefix .. id)
  if not is_hash then return nil, 'type' end
  if not record then return nil end
  if shape == JOB_SHAPE then read_job(id, record) end
  if is_newer(record) then return nil, 'newer' end
  local field = broken_field(record, shape)
  if field then return nil, field end
  record.id = id
  return record
end

local function is_event_listed(event, index)
  for _, own in ipairs(event_indexes.of(event)) do
    if own == index then return true end
  end
  return false
end

-- By kind of list, the jobs that may be in it.
local LISTED_STATUSES = {line = {waiting = true, sending = true}, held = {held = true}}

-- Whether a job, delivery or event belongs in an index that has it.
local function belongs(record, index)
  if shape_of(record.id) == EVENT_SHAPE then return is_event_listed(record, index) end
  local account, list, place = string.match(index, '^hg:acct:([^:]+):(%a+):([%w_]+)$')
  if list then
    local own = list == 'line' and record.lane or record.kind
    return record.account == account and place == own and LISTED_STATUSES[list][record.status]
  end
  if string.find(index, '^hg:jobs') or string.find(index, '^hg:who:') then
    return set_of(lists_of(record))[index] == true
  end
  local field, value = string.match(index, '^hg:%a+:(%a+):(.+)$')
  if field then return record[field] == value end
  return index == 'hg:dlvs' or WORK_INDEXES[record.status]
end
