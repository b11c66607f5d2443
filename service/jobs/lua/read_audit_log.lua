#!lua flags=no-writes
-- Searches a part of the audit log, newest first.
-- ARGV   query (JSON: for each field that an entry must have, a list of the values that it may
--        have), newest and oldest (bounds as XREVRANGE takes them), effort (the most entries to
--        look at), limit (the most to find)
-- Reply  {1 when the log ends here else 0, id of the last entry looked at or '',
--        {{id, {name, value ...}} ...}}
-- Keeps  reads only.
local query, newest, oldest, effort, limit = unpack(ARGV)
query, effort, limit = cjson.decode(query), tonumber(effort), tonumber(limit)
-- Entries read at once.
local CHUNK = 100
local found, last = {}, ''

local function is_one_of(value, values)
  for _, wanted in ipairs(values) do
    if value == wanted then return true end
  end
  return false
end

local function meets(flat)
  local fields = {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  for name, values in pairs(query) do
    if not is_one_of(fields[name], values) then return false end
  end
  return true
end

while effort > 0 do
  local most = math.min(effort, CHUNK)
  local rows = redis.call('XREVRANGE', 'hg:audit', newest, oldest, 'COUNT', most)
  for _, row in ipairs(rows) do
    last = row[1]
    if meets(row[2]) then found[#found + 1] = row end
    if #found == limit then return {0, last, found} end
  end
  if #rows < most then return {1, last, found} end
  newest, effort = '(' .. last, effort - most
end
return {0, last, found}
