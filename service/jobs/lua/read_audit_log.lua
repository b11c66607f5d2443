#!lua flags=no-writes
-- Looks through a part of the audit for what concerns one account, newest first.
-- ARGV   1 account  2 where to begin ('+', or an id with '(' before it)  3 the most to look at
--        4 the most to find
-- Reply  {whether the audit ends here (1 or 0), the id of the last one looked at, or '',
--        {{id, {name, value ...}} ...}}
-- Keeps  reads only.
local most, found, last = tonumber(ARGV[4]), {}, ''

local function account_in(fields)
  for i = 1, #fields, 2 do
    if fields[i] == 'account' then return fields[i + 1] end
  end
end

local rows = redis.call('XREVRANGE', 'hg:audit', ARGV[2], '-', 'COUNT', ARGV[3])
for _, row in ipairs(rows) do
  last = row[1]
  if account_in(row[2]) == ARGV[1] then found[#found + 1] = row end
  if #found == most then return {0, last, found} end
end
return {#rows < tonumber(ARGV[3]) and 1 or 0, last, found}
