#!lua flags=no-writes
-- Searches a part of the audit log for the entries of one account, newest first.
-- ARGV   account, start ('+', or an id with '(' before it), scan (the most entries to look at),
--        limit (the most to find)
-- Reply  {1 when the log ends here else 0, id of the last entry looked at or '',
--        {{id, {name, value ...}} ...}}
-- Keeps  reads only.
local account, start, scan, limit = unpack(ARGV)
local most, found, last = tonumber(limit), {}, ''

local function account_of(fields)
  for i = 1, #fields, 2 do
    if fields[i] == 'account' then return fields[i + 1] end
  end
end

local rows = redis.call('XREVRANGE', 'hg:audit', start, '-', 'COUNT', scan)
for _, row in ipairs(rows) do
  last = row[1]
  if account_of(row[2]) == account then found[#found + 1] = row end
  if #found == most then return {0, last, found} end
end
return {#rows < tonumber(scan) and 1 or 0, last, found}
